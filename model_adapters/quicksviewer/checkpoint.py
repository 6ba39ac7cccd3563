"""Checkpoints: the released weights' names, and loading from a folder, a hub id or an adapter.

Only safetensors, or torch files read with `weights_only`, are ever opened (transformers' default).
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.conversion_mapping import register_checkpoint_conversion_mapping
from transformers.core_model_loading import WeightRenaming
from transformers.utils.peft_utils import find_adapter_config_file

from qsv_eval.model_adapters.errors import SetupError

from .configuration import QuicksviewerConfig
from .modeling import QuicksviewerForConditionalGeneration
from .processing import QuicksviewerProcessor

__all__ = ["LoadedCheckpoint", "RELEASED_NAMES", "load_checkpoint", "register_released_names"]

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
    renamings = [WeightRenaming(released, name) for released, name in RELEASED_NAMES.items()]
    register_checkpoint_conversion_mapping(QuicksviewerConfig.model_type, renamings, overwrite=True)


class LoadedCheckpoint(NamedTuple):
    """A model and its processor."""

    model: QuicksviewerForConditionalGeneration
    processor: QuicksviewerProcessor


def load_checkpoint(
    pretrained: str | Path, *, revision: str | None = None, subfolder: str = "", **model_kwargs: Any
) -> LoadedCheckpoint:
    """Load a released or saved checkpoint, or a PEFT adapter with its base, and check that it is whole.

    Args:
        pretrained: a folder or a hub id.
        revision: branch, tag or commit of a hub id.
        subfolder: folder within it.
        model_kwargs: for transformers' `from_pretrained`: dtype, device_map, attn_implementation, …

    Raises:
        SetupError: there is no checkpoint, or weights are missing, left over or of another shape.
    """
    place = {"revision": revision, "subfolder": subfolder}
    name = str(pretrained)
    _check_folder(Path(name) / subfolder, name)
    try:
        model, report = AutoModelForImageTextToText.from_pretrained(
            name, **place, output_loading_info=True, ignore_mismatched_sizes=True, **model_kwargs
        )
    except (OSError, ValueError, KeyError) as error:
        raise SetupError(f"{name}: cannot be loaded as a Quicksviewer checkpoint: {_first_line(error)}") from error
    _check_whole(name, report)
    if not isinstance(model, QuicksviewerForConditionalGeneration):
        raise SetupError(f"{name}: is a {type(model).__name__}, not a Quicksviewer checkpoint")
    processor = _load_processor(name, place)
    if processor.image_token_id != model.config.image_token_id:
        raise SetupError(
            f"{name}: the tokenizer places {processor.image_token_id} at the visual placeholder, but the model has "
            f"{model.config.image_token_id} embeddings before it; tokenizer and weights are not of one checkpoint"
        )
    return LoadedCheckpoint(model.eval(), processor)


def _check_folder(folder: Path, name: str) -> None:
    looks_local = folder.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1
    if looks_local and not folder.is_dir():
        raise SetupError(f"{folder}: there is no such folder; --pretrained takes a checkpoint folder or a hub id")
    if looks_local and not any((folder / file).is_file() for file in ("config.json", "adapter_config.json")):
        raise SetupError(f"{folder}: holds neither config.json nor adapter_config.json, so it is no checkpoint")


def _check_whole(name: str, report: dict[str, Any]) -> None:
    defects = []
    for kind, keys in (("missing", report["missing_keys"]), ("unknown", report["unexpected_keys"])):
        if keys:
            defects.append(f"{len(keys)} weights are {kind} (first: {min(keys)})")
    for key, found, expected in sorted(report["mismatched_keys"])[:1]:
        defects.append(f"{len(report['mismatched_keys'])} have another shape (first: {key}: {found}, not {expected})")
    if defects:
        raise SetupError(f"{name}: the checkpoint does not fit its config: {'; '.join(defects)}")


def _load_processor(name: str, place: dict[str, Any]) -> QuicksviewerProcessor:
    """Load the processor; an adapter that was saved without one shares its base's."""
    adapter = find_adapter_config_file(name, **place)
    if adapter and not (Path(adapter).parent / "tokenizer_config.json").is_file():
        name, place = json.loads(Path(adapter).read_text())["base_model_name_or_path"], {}
    return AutoProcessor.from_pretrained(name, **place)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
