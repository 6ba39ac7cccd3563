"""What a run's folder remembers of what it is: the recipe, and how its data were dealt into micro-batches."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from accelerate import PartialState

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.paths import whole
from qsv_eval.training.data.batches import MicroBatches
from qsv_eval.training.recipe import Rates, Recipe

__all__ = ["check_recipe", "keep_record"]

_RECIPE, _DATA = "recipe.json", "data.json"


def check_recipe(recipe: Recipe, output: Path) -> None:
    """Refuse a folder in which another recipe was begun.

    Raises:
        SetupError: it was, naming what is different.
    """
    path = output / _RECIPE
    if not path.is_file():
        return
    # What an older version did not know yet was as its default says.
    defaults = json.loads(json.dumps(asdict(Recipe(recipe.name, Rates()))))
    before, now = json.loads(path.read_text()), json.loads(json.dumps(asdict(recipe)))
    if changed := _differences(_merged(defaults, before), now):
        raise SetupError(
            f"{output}: holds a run with another recipe ({'; '.join(changed)}); give another folder with --output"
        )


def keep_record(recipe: Recipe, plan: MicroBatches, output: Path) -> None:
    """Write down what a run is, once it is known that it can begin, and refuse data that changed since it did.

    Of the data it is the number of samples and what goes with what in which order that must be the same.

    Raises:
        SetupError: a run began here with other data.
    """
    data = {
        "samples": plan.samples,
        "micro_batches": len(plan),
        "sha256": hashlib.sha256(repr(plan.batches).encode()).hexdigest(),
    }
    path = output / _DATA
    if path.is_file() and (before := json.loads(path.read_text())) != data:
        raise SetupError(
            f"{output}: its data changed since the run began ({before['samples']:,} samples in "
            f"{before['micro_batches']:,} micro-batches then, {plan.samples:,} in {len(plan):,} now, or in another "
            "order), so it cannot go on where it stopped; put them back, or begin anew with --output"
        )
    if PartialState().is_main_process:
        _write(output / _RECIPE, asdict(recipe))
        _write(path, data)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Write all of a file or nothing, for other processes may be reading it."""
    with whole(path) as draft:
        draft.write_text(json.dumps(content, indent=1))


def _merged(defaults: dict[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was said, and where nothing was the default."""
    merged = defaults | dict(said)
    nested = {key for key in said if isinstance(defaults.get(key), dict) and isinstance(said[key], dict)}
    return merged | {key: _merged(defaults[key], said[key]) for key in nested}


_FREE = {"save_every", "keep", "log_every", "evaluate_every", "broken_share", "batching.workers"}
"""What may change within a run."""


def _differences(before: Any, now: Any, name: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted(before.keys() | now.keys())
        return [
            one
            for key in keys
            for one in _differences(before.get(key), now.get(key), f"{name}.{key}" if name else str(key))
        ]
    return [] if before == now or name in _FREE else [f"{name}: {before} before, {now} now"]
