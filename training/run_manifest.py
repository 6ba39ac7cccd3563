"""What a run's folder remembers of what it is: the recipe, what it began from, and how its data were dealt out."""

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
    """Refuse a folder in which another recipe was begun.

    Where the data and the start lie may be different in a run that goes on: `write_manifest` knows them again. Of a
    finished run nothing is read any more, so that they could be others.

    Raises:
        SetupError: it was, naming what is different.
    """
    path = output / _RECIPE
    if not path.is_file():
        return
    # What an older version did not know yet was as its default says.
    defaults = json.loads(json.dumps(asdict(Recipe(recipe.name, Rates()))))
    before, now = json.loads(path.read_text()), json.loads(json.dumps(asdict(recipe)))
    if changed := _differences(_merged(defaults, before), now, _FREE if finished else _FREE | _PLACES):
        raise SetupError(
            f"{output}: holds a run with another recipe ({'; '.join(changed)}); give another folder with --output"
        )


def write_manifest(recipe: Recipe, setup: Setup, output: Path) -> None:
    """Write down what a run is, once it is known that it can begin, and refuse a start or data that are others now.

    Of the data it is the number of samples and what goes with what in which order that must be the same, of the start
    some weights of each layer.

    Raises:
        SetupError: a run began here from another start, or with other data.
    """
    plan = setup.plan
    record = {
        "samples": plan.samples,
        "micro_batches": len(plan),
        "sha256": hashlib.sha256(repr(plan.batches).encode()).hexdigest(),
        "start": _mark_of_the_start(recipe, setup),
    }
    path = output / _DATA
    before = json.loads(path.read_text()) if path.is_file() else record
    if before.get("start", record["start"]) != record["start"]:  # a run of an older version did not write it down
        raise SetupError(
            f"{output}: the run began from other weights than the start holds now, so it cannot go on where it "
            "stopped; name the start that it had, or begin anew with --output"
        )
    if any(before[key] != record[key] for key in ("samples", "micro_batches", "sha256")):
        raise SetupError(
            f"{output}: its data changed since the run began ({before['samples']:,} samples in "
            f"{before['micro_batches']:,} micro-batches then, {plan.samples:,} in {len(plan):,} now, or in another "
            "order), so it cannot go on where it stopped; put them back, or begin anew with --output"
        )
    if PartialState().is_main_process:
        _write(output / _RECIPE, asdict(recipe))
        _write(path, record)


def _mark_of_the_start(recipe: Recipe, setup: Setup) -> str:
    """Return a hash by which weights that were loaded are known again: a few of each parameter.

    Where the start is two halves, what is drawn or averaged there stays out: another processor may round it otherwise.
    """
    made = ("cubing", "resampler", "new_tokens") if recipe.start.checkpoint is None else ()
    found = hashlib.sha256()
    for name, parameter in setup.checkpoint.model.named_parameters():
        if group_of(name) not in made:
            found.update(name.encode())
            found.update(parameter.detach().flatten()[:16].float().cpu().numpy().tobytes())
    return found.hexdigest()


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Write all of a file or nothing, for other processes may be reading it."""
    with atomic_write(path) as draft:
        draft.write_text(json.dumps(content, indent=1))


def _merged(defaults: dict[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was said, and where nothing was the default."""
    merged = defaults | dict(said)
    nested = {key for key in said if isinstance(defaults.get(key), dict) and isinstance(said[key], dict)}
    return merged | {key: _merged(defaults[key], said[key]) for key in nested}


_FREE = {
    *("save_every", "keep", "log_every", "evaluate_every", "broken_share", "batching.workers"),
    *("chunk_frames", "checkpointing", "attention"),  # how the same is computed: a run that met its limit goes on
}
"""What may change within a run."""
_PLACES = {"mixture", "start.checkpoint", "start.language_model", "start.vision_tower"}
"""What may have been moved."""


def _differences(before: Any, now: Any, free: Set[str], name: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted(before.keys() | now.keys())
        return [
            one
            for key in keys
            for one in _differences(before.get(key), now.get(key), free, f"{name}.{key}" if name else str(key))
        ]
    return [] if before == now or name in free else [f"{name}: {before} before, {now} now"]
