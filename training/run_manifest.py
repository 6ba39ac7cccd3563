"""Manifest of a training run: recipe, starting weights and data plan, checked before the run is resumed."""

import hashlib
import json
from collections.abc import Mapping, Set
from dataclasses import asdict
from pathlib import Path
from typing import Any

from accelerate import PartialState

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.files import atomic_write
from qsv_eval.training.param_groups import group_of
from qsv_eval.training.recipe import Rates, Recipe
from qsv_eval.training.setup import Setup

__all__ = ["check_recipe", "write_manifest"]

_RECIPE, _DATA = "recipe.json", "data.json"


def check_recipe(recipe: Recipe, output: Path, *, finished: bool) -> None:
    """Refuse a folder with a run of another recipe.

    In an unfinished run the paths of data and start may change, because `write_manifest` compares their content. A
    finished run reads neither, so their paths must be the same.

    Raises:
        SetupError: the recipes differ; the message names the differences.
    """
    path = output / _RECIPE
    if not path.is_file():
        return
    # A setting that the older version did not have yet had its default value.
    defaults = json.loads(json.dumps(asdict(Recipe(recipe.name, Rates()))))
    before, now = json.loads(path.read_text()), json.loads(json.dumps(asdict(recipe)))
    if changed := _differences(_merge(defaults, before), now, _FREE if finished else _FREE | _PATHS):
        raise SetupError(
            f"{output}: contains a run with another recipe ({'; '.join(changed)}); give another folder with --output"
        )


def write_manifest(recipe: Recipe, setup: Setup, output: Path) -> None:
    """Write the manifest, or compare it with the one in the folder.

    Compared are the micro-batches' sample indices and some weights of each layer.

    Raises:
        SetupError: the run in the folder had other starting weights or other data.
    """
    plan = setup.plan
    manifest = {
        "samples": plan.samples,
        "micro_batches": len(plan),
        "sha256": hashlib.sha256(repr(plan.batches).encode()).hexdigest(),
        "start": _hash_start(recipe, setup),
    }
    path = output / _DATA
    before = json.loads(path.read_text()) if path.is_file() else manifest
    if before.get("start", manifest["start"]) != manifest["start"]:  # older versions wrote no hash of the start
        raise SetupError(
            f"{output}: the run cannot be resumed, because it started from other weights; give its original start, or "
            "another folder with --output"
        )
    if any(before[key] != manifest[key] for key in ("samples", "micro_batches", "sha256")):
        raise SetupError(
            f"{output}: the run cannot be resumed, because its data changed: {before['samples']:,} samples in "
            f"{before['micro_batches']:,} micro-batches before, {plan.samples:,} in {len(plan):,} now, or another "
            "order; restore the data, or give another folder with --output"
        )
    if PartialState().is_main_process:
        _write(output / _RECIPE, asdict(recipe))
        _write(path, manifest)


def _hash_start(recipe: Recipe, setup: Setup) -> str:
    """Return a hash of a few weights of each parameter that was loaded.

    Weights that were drawn or averaged are left out, because processors may round them differently.
    """
    initialised = ("cubing", "resampler", "new_tokens") if recipe.start.checkpoint is None else ()
    sha256 = hashlib.sha256()
    for name, parameter in setup.checkpoint.model.named_parameters():
        if group_of(name) not in initialised:
            sha256.update(name.encode())
            sha256.update(parameter.detach().flatten()[:16].float().cpu().numpy().tobytes())
    return sha256.hexdigest()


def _write(path: Path, content: Mapping[str, Any]) -> None:
    with atomic_write(path) as draft:  # other processes may be reading the file
        draft.write_text(json.dumps(content, indent=1))


def _merge(defaults: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values, with defaults for missing keys at every level."""
    nested = {key for key in values if isinstance(defaults.get(key), dict) and isinstance(values[key], dict)}
    return defaults | dict(values) | {key: _merge(defaults[key], values[key]) for key in nested}


_FREE = {
    *("save_every", "keep", "log_every", "evaluate_every", "broken_share", "batching.workers"),
    *("chunk_frames", "checkpointing", "attention"),  # same result, but other memory and speed
}
"""Settings that may change when a run is resumed."""
_PATHS = {"mixture", "start.checkpoint", "start.language_model", "start.vision_tower"}
"""Paths, whose files may have been moved."""


def _differences(before: Any, now: Any, free: Set[str], name: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted(before.keys() | now.keys())
        return [
            difference
            for key in keys
            for difference in _differences(before.get(key), now.get(key), free, f"{name}.{key}" if name else str(key))
        ]
    return [] if before == now or name in free else [f"{name}: {before} before, {now} now"]
