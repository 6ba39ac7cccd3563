"""Training from the command line: a stage, or the whole course of quicksviewer-tiny, tried out on the way."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast, get_args

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.modelcard import publish
from qsv_eval.training.recipe import Recipe, vary
from qsv_eval.training.run import train
from qsv_eval.training.stages import STAGES, Backbone, Preset
from qsv_eval.training.tiny.recipes import Amounts, chain
from qsv_eval.tryout import try_out

__all__ = ["forecast_stage", "train_stage", "train_tiny"]


def train_tiny(output: Path, changes: Sequence[str]) -> Path:
    """Take quicksviewer-tiny through its whole course, and return its folder; what was done is not done again.

    Args:
        output: folder of the course; the checkpoint and its card come to `quicksviewer-tiny` in it.
        changes: `key=value` of `Amounts`, and of every recipe.
    """
    amounts, others = _amounts(changes)
    course: list[Path] = []
    for recipe in chain(output, amounts):
        course.append(output / recipe.name)
        train(vary(recipe, others), course[-1], lambda model, _: try_out(model).metrics(), cpu=True)
    finished = output / "quicksviewer-tiny"
    if (finished / "README.md").is_file():
        return finished
    return publish(course, finished, amounts.tried_clips)


def _amounts(changes: Sequence[str]) -> tuple[Amounts, list[str]]:
    """Take what is of the course from what is of its recipes."""
    own, others = dict[str, int](), list[str]()
    for change in changes:
        key, _, value = change.partition("=")
        if key not in Amounts._fields:
            others.append(change)
        elif value.isdigit():
            own[key] = int(value)
        else:
            raise SetupError(f"{change!r}: {key} is a whole number")
    return Amounts(**own), others


def train_stage(
    stage: str, preset: str, backbone: str, changes: Sequence[str], output: Path, *, cpu: bool, report_to: str
) -> Path:
    """Train one of the three stages, and return the folder of its last checkpoint."""
    return train(_recipe(stage, preset, backbone, changes), output, cpu=cpu, report_to=report_to)


def forecast_stage(stage: str, preset: str, backbone: str, changes: Sequence[str]) -> None:
    """Print what a stage would do."""
    from qsv_eval.training.dry_run import forecast, print_forecast

    print_forecast(forecast(_recipe(stage, preset, backbone, changes)))


def _recipe(stage: str, preset: str, backbone: str, changes: Sequence[str]) -> Recipe:
    if stage not in STAGES:
        raise SetupError(f"there is no recipe {stage!r}; known are {', '.join(STAGES)} and tiny")
    for value, known in ((preset, get_args(Preset)), (backbone, get_args(Backbone))):
        if value not in known:
            raise SetupError(f"{value!r} is unknown; use {' or '.join(known)}")
    return vary(STAGES[stage](cast(Backbone, backbone), cast(Preset, preset)), changes)
