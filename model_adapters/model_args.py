"""The model's options (`--model_args pretrained=DIR,max_frames=420,fps=1,…`), checked and with the right types."""

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
_REPLY_OPTIONS = (
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
    """Limit on the frames of a video. A task's generation_kwargs override this option and the next five."""
    fps: float = 1.0
    """Frames per second of video, before `max_frames` reduces their number."""
    frame_rule: str = "reference"
    """"reference" (the middle of every second), "blocks" (the middle of every 1/fps) or "nested" (like "blocks", but
    smaller frame sets are subsets of larger ones)."""
    cubing: str | None = None
    """"learned", "equal" or "difference"; by default the checkpoint's, as for the next two options."""
    frames_per_cube: float | None = None
    """Average number of frames in a cube."""
    max_cubes: int | None = None
    """Limit on the cubes of a video."""
    resize: Resize = "exact"
    """"exact" (Pillow, as the reference) or "fast" (FFmpeg)."""

    dtype: str = "auto"
    """"auto", "float32", "bfloat16" or "float16"."""
    attn_implementation: str | None = None
    """"flash_attention_2", "sdpa" or "eager"; by default the best available."""
    device: str | None = None
    """"cpu", "cuda" or "cuda:1"; by default this process's accelerator if there is one."""
    gpus_per_process: int = Field(1, ge=1, le=2)
    """Accelerators of a process; 2: vision on one and the language model on the next."""
    device_map: str | dict[str, str | int] | None = None
    """Device map of transformers ("auto", or a dictionary) instead of the two options above."""
    load_in_4bit: bool = False
    """Quantise the language model to 4 bits (bitsandbytes, CUDA)."""
    load_in_8bit: bool = False
    """Quantise the language model to 8 bits (bitsandbytes, CUDA)."""
    chunk_frames: int | None = Field(None, ge=1)
    """Frames that the vision tower encodes at once."""

    batch_size: int = Field(1, ge=1)
    """Limit on the requests that are answered at once."""
    cache_gb: float = Field(8.0, gt=0)
    """Memory in GB for the keys and values of a batch."""
    readers: int | None = Field(None, ge=0)
    """Processes that read videos ahead; by default this process's part of the processors, at most 8. 0: none."""
    readahead_gb: float = Field(2.0, gt=0)
    """Main memory in GB of this process for frames that are read ahead."""
    read_limit_s: float = Field(600.0, gt=0)
    """Timeout per file in seconds."""
    frame_store: Path | None = None
    """Folder in which decoded frames are kept for other runs and checkpoints."""
    frame_store_gb: float = Field(100.0, gt=0)
    """Size limit of the frame store in GB; least recently used entries are evicted."""
    allow_degraded: bool = False
    """Use fewer frames where memory runs out, and mark the answer."""

    journal: str | Path | None = None
    """Folder of the journal; by default a folder in the user's cache, shared by all runs."""
    max_batch_size: int | None = None
    """Passed by lmms-eval to every model; ignored."""

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> "ModelArgs":
        """Check the options and convert their types; SetupError names the first wrong one."""
        for name in options:
            if name not in cls.model_fields:
                close = difflib.get_close_matches(name, cls.model_fields, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(cls.model_fields)}"
                raise SetupError(f"model_args: there is no option {name!r}; {hint}")
        options = {**options, "pretrained": _absolute(options.get("pretrained", ""))}
        try:
            args = cls.model_validate(options)
        except ValidationError as error:
            first = error.errors()[0]
            name, problem = str(first["loc"][0]), first["msg"].removeprefix("Input ")
            raise SetupError(f"model_args: {name} {options[name]!r} {problem}") from error
        if not args.pretrained:
            raise SetupError("model_args: pretrained=FOLDER_OR_HUB_ID is missing")
        if args.load_in_4bit and args.load_in_8bit:
            raise SetupError("model_args: load_in_4bit and load_in_8bit exclude each other; give one of them")
        return args

    @property
    def reply_options(self) -> dict[str, Any]:
        """The options that change replies; all results in a run folder have the same values."""
        return {name: getattr(self, name) for name in _REPLY_OPTIONS}

    @property
    def rule(self) -> FrameRule:
        """The model's frame rule."""
        return FrameRule(fps=self.fps, max_frames=self.max_frames, name=self.frame_rule)  # type: ignore[arg-type]

    def cube_rule(self, default: CubeRule) -> CubeRule:
        """Return the model's cube rule; `default` is that of its checkpoint."""
        return default.with_overrides(self.model_dump())

    @property
    def bits(self) -> int | None:
        """Bits of the quantised language model; None without quantisation."""
        return 4 if self.load_in_4bit else 8 if self.load_in_8bit else None

    @property
    def cache_bytes(self) -> int:
        """Memory in bytes for the keys and values of a batch."""
        return int(self.cache_gb * _GB)

    def engine_options(self, frame_size: int, *, show_progress: bool) -> "EngineOptions":
        """Return the options of the engine; `frame_size` is the height and width of the frames in pixels."""
        from qsv_eval.model_adapters.engine.worker import EngineOptions  # imports torch

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


def _absolute(pretrained: str | Path) -> str:
    """Return the absolute path of a folder; anything else, such as a hub id, unchanged."""
    folder = Path(pretrained).expanduser()
    return str(folder.resolve() if str(pretrained) and folder.is_dir() else pretrained)
