"""The whole course of quicksviewer-tiny: its recipes in order, tried out on the way, and its checkpoint."""

from collections.abc import Sequence
from pathlib import Path

from accelerate import PartialState

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.tiny.modelcard import publish
from qsv_eval.tiny.tryout import try_out
from qsv_eval.training.recipe import vary
from qsv_eval.training.run import train
from qsv_eval.training.tiny.recipes import Amounts, chain

__all__ = ["train_tiny"]


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
    if PartialState(cpu=True).is_main_process and not (finished / "README.md").is_file():
        publish(course, finished, amounts.tried_clips)
    return finished


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
