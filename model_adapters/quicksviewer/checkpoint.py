"""Checkpoints: the released weights' names, and loading from a folder, a hub id or an adapter.

Only safetensors, or torch files read with `weights_only`, are ever opened (transformers' default).
"""

import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import Any, NamedTuple

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoProcessor
from transformers.conversion_mapping import register_checkpoint_conversion_mapping
from transformers.core_model_loading import WeightRenaming
from transformers.utils import cached_file, is_peft_available, logging
from transformers.utils.peft_utils import find_adapter_config_file

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.quicksviewer.configuration import PLACE, QuicksviewerConfig
from qsv_eval.model_adapters.quicksviewer.modeling import QuicksviewerForConditionalGeneration
from qsv_eval.model_adapters.quicksviewer.processing import QuicksviewerProcessor

__all__ = ["RELEASED_NAMES", "LoadedCheckpoint", "load_checkpoint", "read_config", "register_released_names"]

RELEASED_NAMES = {
    r"^model\.vision_tower\.vision_tower\.vision_model\.": "model.perception.vision_tower.",
    r"^model\.cubing\.agg_frame_fn\.0\.": "model.perception.gate.aggregate.",
    r"^model\.cubing\.proj_fn\.0\.": "model.perception.gate.norm.",
    r"^model\.cubing\.proj_fn\.1\.": "model.perception.gate.hidden.",
    r"^model\.cubing\.proj_fn\.3\.": "model.perception.gate.logits.",
    r"^model\.cubing\.thumbnail_fn\.1\.": "model.perception.thumbnail.",
    r"^model\.vision_resampler\.": "model.perception.resampler.",
    r"^model\.embed_tokens\.": "model.language_model.embed_tokens.",
    r"^model\.layers\.": "model.language_model.layers.",
    r"^model\.norm\.": "model.language_model.norm.",
}
"""Prefixes of the released checkpoints' weights and what they are called here."""


def register_released_names() -> None:
    """Teach transformers the released names; checkpoints with today's names load as well."""
    renamings: list[Any] = [WeightRenaming(released, name) for released, name in RELEASED_NAMES.items()]
    register_checkpoint_conversion_mapping(QuicksviewerConfig.model_type, renamings, overwrite=True)


class LoadedCheckpoint(NamedTuple):
    """A model and its processor."""

    model: QuicksviewerForConditionalGeneration
    processor: QuicksviewerProcessor


def load_checkpoint(
    pretrained: str | Path,
    *,
    revision: str | None = None,
    subfolder: str = "",
    model_class: type[QuicksviewerForConditionalGeneration] = QuicksviewerForConditionalGeneration,
    **model_kwargs: Any,
) -> LoadedCheckpoint:
    """Load a released or saved checkpoint, or a PEFT adapter with its base, and check that it is whole.

    Args:
        pretrained: a folder or a hub id.
        revision: branch, tag or commit of a hub id.
        subfolder: folder within it.
        model_class: class of the model, this one or one derived from it.
        model_kwargs: for transformers' `from_pretrained`: dtype, device_map, attn_implementation, …

    Raises:
        SetupError: there is no checkpoint, or weights are missing, left over or of another shape.
    """
    name, subfolder = _whole_path(str(pretrained), subfolder)
    hub = {key: model_kwargs.pop(key) for key in PLACE if key in model_kwargs}
    place = {"revision": revision, "subfolder": subfolder, **hub}
    with _errors_only():
        _check_folder(name, subfolder)
        adapter = _adapter_of(name, place)
        if adapter is None:
            model, processor_at = _load_model(model_class, name, place, model_kwargs), (name, place)
        else:
            base_at = (adapter.base, {"revision": adapter.base_revision, "subfolder": "", **hub})
            _check_folder(adapter.base, "", what=f"{name}: the adapter's base ")
            model = _load_model(model_class, *base_at, model_kwargs)
            _attach_adapter(model, name, place)
            processor_at = (name, place) if adapter.has_tokenizer else base_at
        processor = _load_processor(*processor_at)
    processor.thumbnail = model.config.use_thumbnail  # a released checkpoint says it in the model's config only
    _check_together(name, model, processor)
    return LoadedCheckpoint(model.eval(), processor)


@contextmanager
def _errors_only() -> Iterator[None]:
    """Keep transformers' own reports, a screen long, out of sight: what they say ends up in one line."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _whole_path(name: str, subfolder: str) -> tuple[str, str]:
    """Join a local folder and its subfolder: older transformers look for an adapter in the folder alone."""
    return (str(Path(name, subfolder)), "") if subfolder and Path(name, subfolder).is_dir() else (name, subfolder)


def _check_folder(name: str, subfolder: str, what: str = "") -> None:
    folder = Path(name) / subfolder
    beside = name.count("/") == 1 and Path(name).parent.is_dir()  # "checkpoints/typo" is no hub id
    looks_local = Path(name).exists() or beside or name.startswith((".", "/", "~")) or name.count("/") > 1
    if looks_local and not folder.is_dir():
        raise SetupError(f"{what}{folder}: there is no such folder; --pretrained takes a checkpoint folder or a hub id")
    if looks_local and not any((folder / file).is_file() for file in ("config.json", "adapter_config.json")):
        raise SetupError(f"{what}{folder}: holds neither config.json nor adapter_config.json, so it is no checkpoint")


class _Adapter(NamedTuple):
    """Facts from the files of a PEFT adapter."""

    base: str
    base_revision: str | None
    has_tokenizer: bool


def _adapter_of(name: str, place: dict[str, Any]) -> _Adapter | None:
    """Read an adapter's config; None for a checkpoint with weights of its own."""
    found = find_adapter_config_file(name, **place)
    if found is None or (Path(found).parent / "config.json").is_file():
        return None
    try:
        config = json.loads(Path(found).read_text())
    except ValueError as error:
        raise SetupError(f"{found}: is not valid JSON: {_one_line(error)}") from error
    if not config.get("base_model_name_or_path"):
        raise SetupError(f"{found}: base_model_name_or_path is missing, so the adapter's base is unknown")
    has_tokenizer = cached_file(name, "tokenizer_config.json", **place, _raise_exceptions_for_missing_entries=False)
    return _Adapter(config["base_model_name_or_path"], config.get("revision"), has_tokenizer is not None)


def read_config(pretrained: str | Path, *, revision: str | None = None, subfolder: str = "") -> QuicksviewerConfig:
    """Read the configuration of a checkpoint, or of an adapter's base, without its weights.

    Raises:
        SetupError: there is no checkpoint of Quicksviewer.
    """
    name, subfolder = _whole_path(str(pretrained), subfolder)
    place: dict[str, Any] = {"revision": revision, "subfolder": subfolder}
    with _errors_only():
        _check_folder(name, subfolder)
        try:
            adapter = _adapter_of(name, place)
            if adapter is None:
                return _config_of(name, place)
            return _config_of(adapter.base, {"revision": adapter.base_revision, "subfolder": ""})
        except _UNREADABLE as error:
            raise SetupError(f"{name}: has no configuration that can be read: {_one_line(error)}") from error


def _config_of(name: str, place: dict[str, Any]) -> QuicksviewerConfig:
    config = AutoConfig.from_pretrained(name, **place)
    if not isinstance(config, QuicksviewerConfig):
        raise SetupError(f"{name}: is a checkpoint of {config.model_type}, not of Quicksviewer")
    return config


def _load_model(
    model_class: type[QuicksviewerForConditionalGeneration],
    name: str,
    place: dict[str, Any],
    model_kwargs: dict[str, Any],
) -> QuicksviewerForConditionalGeneration:
    try:
        config = _config_of(name, place)
        loaded: Any = model_class.from_pretrained(
            name, config=config, **place, output_loading_info=True, ignore_mismatched_sizes=True, **model_kwargs
        )
    except _UNREADABLE as error:
        raise SetupError(f"{name}: cannot be loaded as a Quicksviewer checkpoint: {_one_line(error)}") from error
    model, report = loaded
    _check_whole(name, report)
    return model


def _attach_adapter(model: QuicksviewerForConditionalGeneration, name: str, place: dict[str, Any]) -> None:
    if not is_peft_available():
        raise SetupError(f"{name}: is a PEFT adapter, and peft is not installed; pip install 'qsv-eval[train]'")
    options = {key: value for key, value in place.items() if value}
    try:
        report = model.load_adapter(name, adapter_kwargs=options)
    except _UNREADABLE as error:
        raise SetupError(f"{name}: cannot be loaded as an adapter of its base: {_one_line(error)}") from error
    _check_whole(name, report.to_dict())


def _check_whole(name: str, report: dict[str, Any]) -> None:
    defects = []
    for kind, keys in (("missing", report["missing_keys"]), ("unknown", report["unexpected_keys"])):
        if keys:
            defects.append(f"{len(keys)} weights are {kind} (first: {min(keys)})")
    for key, found, expected in sorted(report["mismatched_keys"])[:1]:
        shapes = f"{key}: {tuple(found)}, not {tuple(expected)}"
        defects.append(f"{len(report['mismatched_keys'])} weights have another shape (first: {shapes})")
    if defects:
        raise SetupError(f"{name}: the checkpoint does not fit its config: {'; '.join(defects)}")


def _load_processor(name: str, place: dict[str, Any]) -> QuicksviewerProcessor:
    try:
        return AutoProcessor.from_pretrained(name, **place)
    except _UNREADABLE as error:
        raise SetupError(f"{name}: its tokenizer or processor cannot be loaded: {_one_line(error)}") from error


def _check_together(name: str, model: QuicksviewerForConditionalGeneration, processor: QuicksviewerProcessor) -> None:
    if processor.image_token_id != model.config.image_token_id:
        raise SetupError(
            f"{name}: the tokenizer places {processor.image_token_id} at the visual placeholder, but the model has "
            f"{model.config.image_token_id} embeddings before it; tokenizer and weights are not of one checkpoint"
        )
    side = model.config.vision_config.image_size
    if not processor.image_processor.tile_size == processor.video_processor.frame_size == side:
        raise SetupError(
            f"{name}: the processor makes tiles of {processor.image_processor.tile_size} and frames of "
            f"{processor.video_processor.frame_size} pixels, but the vision tower takes {side}"
        )


# What transformers and the libraries below it raise on files that are absent, damaged or of another kind.
_UNREADABLE = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError),
    *(pickle.UnpicklingError, SafetensorError, StrictDataclassError),
)


def _one_line(error: BaseException) -> str:
    if isinstance(error, pickle.UnpicklingError):  # torch's own text recommends to open it all the same
        return "its weights are a pickle that holds more than tensors, which is never opened; use safetensors"
    return shorten(str(error), 300) or type(error).__name__
