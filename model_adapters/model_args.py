"""What `--model_args` may say: `pretrained=DIR,max_frames=420,fps=1,…`, checked and turned into the right types."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.engine.readahead import default_readers
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.frames import FrameRule
from qsv_eval.model_adapters.frames.decode import Resize
from qsv_eval.model_adapters.frames.read_job import ReadSettings

if TYPE_CHECKING:
    from qsv_eval.model_adapters.engine.worker import EngineOptions

__all__ = ["ModelArgs"]

_GB = 1 << 30
_MOVING_REPLIES = (
    *("pretrained", "revision", "subfolder", "max_frames", "fps", "frame_rule", "resize", "dtype"),
    *("cubing", "frames_per_cube", "max_cubes", "load_in_4bit", "load_in_8bit"),
)


class ModelArgs(BaseModel):
    """The options of the model `quicksviewer`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    pretrained: str = ""
    """Checkpoint folder, hub id or PEFT adapter."""
    revision: str | None = None
    """Branch, tag or commit of a hub id."""
    subfolder: str = ""
    """Folder within the checkpoint."""

    max_frames: int = Field(420, ge=1)
    """Frames of a video at the most. A task's generation_kwargs may say otherwise, as for the next five."""
    fps: float = 1.0
    """Frames for each second of video, before `max_frames` thins them."""
    frame_rule: str = "reference"
    """"reference" (the middle of every second), "blocks" (the middle of every 1/fps) or
    "nested" (of those so many that the frames of a smaller limit are among those of a larger one)."""
    cubing: str | None = None
    """"learned", "equal" or "difference"; this and the next two as the checkpoint says, by default."""
    frames_per_cube: float | None = None
    """Frames of a cube on average."""
    max_cubes: int | None = None
    """Cubes of a video at the most."""
    resize: Resize = "exact"
    """"exact" (Pillow, as the reference) or "fast" (FFmpeg)."""

    dtype: str = "auto"
    """"auto", "float32", "bfloat16" or "float16"."""
    attn_implementation: str | None = None
    """"flash_attention_2", "sdpa" or "eager"; the best there is by default."""
    device: str | None = None
    """"cpu", "cuda", "cuda:1"; this process's accelerator if there is one."""
    gpus_per_process: int = Field(1, ge=1, le=2)
    """2 puts the vision side on one accelerator and the language model on the next."""
    device_map: str | dict[str, str | int] | None = None
    """As transformers has it ("auto", or a dictionary), instead of the two above."""
    load_in_4bit: bool = False
    """Quantise the language model by bitsandbytes (CUDA)."""
    load_in_8bit: bool = False
    """Likewise."""
    chunk_frames: int | None = Field(None, ge=1)
    """Frames that go through the vision tower at once."""

    batch_size: int = Field(1, ge=1)
    """Questions that are answered at once, at the most."""
    cache_gb: float = Field(8.0, gt=0)
    """Memory for the keys and values of a batch."""
    readers: int | None = Field(None, ge=0)
    """Processes that read videos ahead; by default this process's part of the processors. 0: none."""
    readahead_gb: float = Field(2.0, gt=0)
    """Main memory of this process for frames that are read ahead."""
    read_limit_s: float = Field(600.0, gt=0)
    """A reader that takes longer for a file is ended."""
    frame_store: Path | None = None
    """Folder in which frames are kept for other runs and checkpoints."""
    frame_store_gb: float = Field(100.0, gt=0)
    """What it may hold; what was used longest ago goes first."""
    allow_degraded: bool = False
    """Step down to fewer frames where memory runs out, and mark the answer."""

    journal: str | Path | None = None
    """Folder of the journal; by default one in the user's cache, shared by all runs."""
    max_batch_size: int | None = None
    """lmms-eval hands it to every model; not used."""

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> "ModelArgs":
        """Check what was given; SetupError names the first thing that is wrong."""
        for name in given:
            if name not in cls.model_fields:
                close = difflib.get_close_matches(name, cls.model_fields, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(cls.model_fields)}"
                raise SetupError(f"model_args: there is no option {name!r}; {hint}")
        given = {**given, "pretrained": _one_name(given.get("pretrained", ""))}
        try:
            args = cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            option, said = str(first["loc"][0]), first["msg"].removeprefix("Input ")
            raise SetupError(f"model_args: {option} {given[option]!r} {said}") from error
        if not args.pretrained:
            raise SetupError("model_args: pretrained=FOLDER_OR_HUB_ID is missing")
        if args.load_in_4bit and args.load_in_8bit:
            raise SetupError("model_args: load_in_4bit and load_in_8bit exclude each other; give one of them")
        return args

    @property
    def moving_replies(self) -> dict[str, Any]:
        """The options that move replies; a folder of results holds one set of them."""
        return {name: getattr(self, name) for name in _MOVING_REPLIES}

    @property
    def rule(self) -> FrameRule:
        """The model's frame rule."""
        return FrameRule(fps=self.fps, max_frames=self.max_frames, name=self.frame_rule)  # type: ignore[arg-type]

    def cube_rule(self, default: CubeRule) -> CubeRule:
        """Return the model's cube rule, given that of its checkpoint."""
        return default.but(self.model_dump())

    @property
    def bits(self) -> int | None:
        """To how many bits the language model is quantised."""
        return 4 if self.load_in_4bit else 8 if self.load_in_8bit else None

    @property
    def cache_bytes(self) -> int:
        """Bytes for the keys and values of a batch."""
        return int(self.cache_gb * _GB)

    def engine_options(self, frame_size: int, *, show_progress: bool) -> "EngineOptions":
        """Return what the engine wants to know."""
        from qsv_eval.model_adapters.engine.worker import EngineOptions  # brings torch along

        store = self.frame_store.expanduser() if self.frame_store else None
        return EngineOptions(
            batch_size=self.batch_size,
            cache_bytes=self.cache_bytes,
            readers=default_readers() if self.readers is None else self.readers,
            readahead_bytes=int(self.readahead_gb * _GB),
            read_limit_s=self.read_limit_s,
            reading=ReadSettings((frame_size, frame_size), self.resize, store, int(self.frame_store_gb * _GB)),
            allow_degraded=self.allow_degraded,
            show_progress=show_progress,
        )


def _one_name(pretrained: str | Path) -> str:
    """Give a folder one name, however it was typed."""
    folder = Path(pretrained).expanduser()
    return str(folder.resolve() if str(pretrained) and folder.is_dir() else pretrained)
