"""The configuration of Quicksviewer, and the two flat configurations of the released checkpoints that turn into it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig, SiglipVisionConfig
from transformers.utils import cached_file

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.errors import SetupError

__all__ = ["PLACE", "QuicksviewerConfig", "ReleasedLlamaConfig", "ReleasedQwenConfig", "vision_config_beside"]

PLACE = ("revision", "subfolder", "cache_dir", "token", "local_files_only")
"""Arguments of `from_pretrained` that say where a checkpoint is."""

SO400M_PATCH14_384 = {
    "hidden_size": 1152,
    "image_size": 384,
    "intermediate_size": 4304,
    "num_attention_heads": 16,
    "num_hidden_layers": 27,
    "patch_size": 14,
}
"""SigLIP so400m patch14-384, the vision tower of every released checkpoint (docs/reference.md, section 3)."""


@strict
class QuicksviewerConfig(PreTrainedConfig):
    """Configuration of Quicksviewer; the defaults are the constants of the reference (docs/reference.md, section 4).

    Attributes:
        text_config: the language model (Qwen2 or Llama).
        vision_config: the SigLIP vision tower.
        image_token_id: id of the visual placeholder. It lies one past the embedding table: it is never embedded.
        image_mean: per-channel mean that turns pixels in [0, 1] into the tower's input.
        image_std: per-channel deviation, likewise.
        grid_size: side of the token grid that the tower's tokens are resampled to, before everything else.
        num_queries: visual tokens for each cube, image tile and thumbnail.
        resampler_heads: attention heads of the resampler; None means one for every 128 channels.
        resampler_norm_eps: epsilon of the resampler's layer norms.
        position_base: base of the sine and cosine wavelengths in the resampler's position code.
        use_thumbnail: put the mean of the cubes' first frames in front of the cubes.
        cubing: by what videos are cut; this and the next two are explained by `CubeRule`.
        frames_per_cube: frames for each cube on average.
        max_cubes: cubes of a video at the most.
        gate_momentum: weight of the newest frame difference in the running difference that the gate looks at.
        gate_temperature: temperature of the gate's Gumbel-Softmax.
        gate_norm_eps: epsilon of the gate's layer norm.
        gate_loss_weight: weight of the mean norm of the gate's logits in the training loss.
        gate_centred: in the backward pass only, take a video's mean from what each frame would bring to the thumbnail.
            The chosen frames' number is fixed, so the mean tells the gate nothing; without it the gate learns sooner
            (docs/training.md).
        gate_init: how a new gate begins. `default` is the reference's; with `sensitive` the size of a difference
            survives the layer norm.
    """

    model_type = "quicksviewer"
    sub_configs = {"text_config": AutoConfig, "vision_config": SiglipVisionConfig}  # noqa: RUF012 - transformers' form
    keys_to_ignore_at_inference = [  # noqa: RUF012 - all but logits, so that `Trainer.predict` returns these
        *("past_key_values", "cache", "image_hidden_states", "video_hidden_states"),
        *("cube_starts", "gate_logits", "gate_loss"),
    ]

    text_config: Any = None
    vision_config: Any = None
    image_token_id: int | None = None
    image_mean: list[float] | tuple[float, ...] = (0.5, 0.5, 0.5)
    image_std: list[float] | tuple[float, ...] = (0.5, 0.5, 0.5)
    grid_size: int = 24
    num_queries: int = 64
    resampler_heads: int | None = None
    resampler_norm_eps: float = 1e-6
    position_base: float = 10000.0
    use_thumbnail: bool = True
    cubing: str = "learned"
    frames_per_cube: float | int = 5
    max_cubes: int | None = None
    gate_momentum: float = 0.8
    gate_temperature: float = 0.5
    gate_norm_eps: float = 1e-5
    gate_loss_weight: float = 0.001
    gate_centred: bool = False
    gate_init: str = "default"
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill in the parts and the values that follow from them."""
        if self.text_config is None:
            self.text_config = {"model_type": "qwen2"}
        if isinstance(self.text_config, Mapping):
            text = dict(self.text_config)
            self.text_config = AutoConfig.for_model(text.pop("model_type", "qwen2"), **text)
        if self.vision_config is None:
            self.vision_config = dict(SO400M_PATCH14_384)
        if isinstance(self.vision_config, Mapping):
            self.vision_config = SiglipVisionConfig(**self.vision_config)
        if self.image_token_id is None:
            self.image_token_id = self.text_config.vocab_size
        if self.resampler_heads is None:
            self.resampler_heads = max(self.text_config.hidden_size // 128, 1)
        self.tie_word_embeddings = self.tie_word_embeddings or bool(self.text_config.tie_word_embeddings)
        super().__post_init__(**kwargs)
        self._check()

    @property
    def cube_rule(self) -> CubeRule:
        """Default rule by which videos are cut into cubes."""
        return CubeRule(self.cubing, self.frames_per_cube, self.max_cubes)  # type: ignore[arg-type]

    def _check(self) -> None:
        width, tokens = self.text_config.hidden_size, self.grid_size**2
        if width % 16:
            raise SetupError(f"config: text hidden_size {width} must be a multiple of 16 (3-D position code)")
        if width % self.resampler_heads:
            raise SetupError(f"config: resampler_heads {self.resampler_heads} does not divide hidden_size {width}")
        if tokens % self.num_queries:
            raise SetupError(
                f"config: num_queries {self.num_queries} does not divide grid_size² = {tokens}, as the thumbnail needs"
            )
        if self.gate_init not in ("default", "sensitive"):
            raise SetupError(f"config: gate_init {self.gate_init!r} is unknown: use default or sensitive")
        _ = self.cube_rule  # refuses what cannot be
        if not 0 < self.gate_momentum <= 1:
            raise SetupError(f"config: gate_momentum {self.gate_momentum} is not in (0, 1]")


# Keys of a released config.json that are not the language model's, and what each becomes here (None: no influence).
_RENAMED = {
    "num_queries": "num_queries",
    "num_heads": "resampler_heads",
    "mm_use_thumbnail": "use_thumbnail",
}
_WITHOUT_INFLUENCE = {
    *("adaptive", "architectures", "compress_type", "cubing_type", "embed_dim", "freeze_mm_adapter"),
    *("freeze_vision_tower", "image_aspect_ratio", "image_grid_pinpoints", "is_multimodal", "kv_dim"),
    *("mm_hidden_size", "mm_patch_merge_type", "mm_projector_type", "mm_use_im_start_end"),
    *("mm_use_patch_start_end", "mm_use_thumbnail_start_end", "mm_use_video_start_end", "mm_vision_select_feature"),
    *("mm_vision_select_layer", "mm_vision_tower", "model_type", "patchify_video_feature", "transformers_version"),
    *("tune_mm_adapter", "use_mm_proj", "unfreeze_mm_vision_tower", "mm_projector_lr", "name_or_path"),
    *("tokenizer_model_max_length", "tokenizer_padding_side"),
}
# What every released checkpoint says and this model assumes.
_ASSUMED = {
    "mm_cubing": "momentum",
    "cubing_vit_forward_n_layers": -1,
    "mm_resampler_type": "qformer",
    "is_cubing": True,
}


class _ReleasedConfig(PreTrainedConfig):
    """A released checkpoint's flat config.json; reading one gives a `QuicksviewerConfig`."""

    text_model_type = ""

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Turn the flat dictionary into a `QuicksviewerConfig` (or that and the unused keyword arguments)."""
        flat = dict(config_dict)
        source = str(kwargs.get("name_or_path") or flat.get("_name_or_path") or "config.json")
        for key, value in _ASSUMED.items():
            if flat.pop(key, value) != value:
                raise SetupError(f"{source}: {key} is {config_dict[key]!r}; only {value!r} is supported")
        side = flat.pop("max_size", [300, 24, 24])[-1]
        own = {new: flat.pop(old) for old, new in _RENAMED.items() if old in flat}
        text = {key: value for key, value in flat.items() if key not in _WITHOUT_INFLUENCE and not key.startswith("_")}
        canonical: dict[str, Any] = {
            "text_config": {"model_type": cls.text_model_type, **text},
            "vision_config": _released_vision(source, str(config_dict.get("mm_vision_tower", ""))),
            "grid_size": side,
            "architectures": ["QuicksviewerForConditionalGeneration"],
            **{key: flat[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id", "dtype") if key in flat},
            **own,
        }
        if "torch_dtype" in flat:
            canonical.setdefault("dtype", flat["torch_dtype"])
        return QuicksviewerConfig.from_dict(canonical, **kwargs)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Read a folder or hub id, as AutoConfig does, so that the vision tower's config beside it is found."""
        kwargs.setdefault("name_or_path", str(pretrained_model_name_or_path))
        return super().from_pretrained(pretrained_model_name_or_path, **kwargs)


def _released_vision(source: str, tower: str) -> dict[str, Any]:
    """Find the tower's architecture, which released checkpoints do not hold in config.json.

    Order: the folder `vision_tower/` of the checkpoint, the folder that config.json names, and else so400m, the
    tower of every release. A wrong guess cannot pass: the weights' shapes are checked when they are loaded.
    """
    beside = None if source == "config.json" else vision_config_beside(source)
    if beside is None and tower and Path(tower).is_dir():
        beside = _siglip_dict(Path(tower))
    return beside or dict(SO400M_PATCH14_384)


def vision_config_beside(
    source: str,
    *,
    subfolder: str = "",
    revision: str | None = None,
    cache_dir: str | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> dict[str, Any] | None:
    """Return the vision tower's config from the folder `vision_tower/` of a checkpoint, or None if it has none.

    Args:
        source: folder or hub id of the checkpoint.
        subfolder: folder within it.
        revision: branch, tag or commit of a hub id.
        cache_dir: folder of downloaded files.
        token: access token of the hub.
        local_files_only: never ask the hub.
    """
    folder = "/".join(filter(None, (subfolder, "vision_tower")))
    found = cached_file(
        source,
        "config.json",
        subfolder=folder,
        revision=revision,
        cache_dir=cache_dir,
        token=token,
        local_files_only=local_files_only,
        **_QUIET,
    )
    return _siglip_dict(Path(found).parent) if found else None


def _siglip_dict(folder: Path) -> dict[str, Any]:
    config, _ = SiglipVisionConfig.get_config_dict(folder)
    return config.get("vision_config", config)


_QUIET = {
    "_raise_exceptions_for_gated_repo": False,
    "_raise_exceptions_for_missing_entries": False,
    "_raise_exceptions_for_connection_errors": False,
}


class ReleasedQwenConfig(_ReleasedConfig):
    """`quicksviewer_qwen`, the config of the released Qwen2.5 checkpoints."""

    model_type = "quicksviewer_qwen"
    text_model_type = "qwen2"


class ReleasedLlamaConfig(_ReleasedConfig):
    """`quicksviewer_llama`, the config of the released Llama-3.1 checkpoints."""

    model_type = "quicksviewer_llama"
    text_model_type = "llama"
