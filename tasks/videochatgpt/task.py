"""Video-ChatGPT's benchmark: five dimensions from 0 to 5, averaged with equal weight."""

from collections.abc import Mapping, Sequence
from typing import Final

from qsv_eval.data.sample import Sample
from qsv_eval.scoring.averages import mean_of_verdicts
from qsv_eval.scoring.row import Row
from qsv_eval.scoring.scorers import Judged
from qsv_eval.tasks.task import Prompt, Task
from qsv_eval.tasks.videochatgpt.layout import VIDEOCHATGPT

__all__ = ["TASKS"]

_DIMENSIONS: Final[Mapping[str, Sequence[str]]] = {
    "generic": ("vcg_correctness", "vcg_detail", "vcg_context"),
    "temporal": ("vcg_temporal",),
    "consistency": ("vcg_consistency",),
}
_ALL: Final = tuple(name for names in _DIMENSIONS.values() for name in names)


def _bare(sample: Sample) -> Prompt:
    return Prompt(sample.question)


def _wanted(row: Row) -> Sequence[str]:
    return _DIMENSIONS[str(row["groups"]["set"])]


TASKS: Final[Mapping[str, Task]] = {
    "qsv_videochatgpt": Task(
        "qsv_videochatgpt", VIDEOCHATGPT, "test", _bare, Judged(_wanted), mean_of_verdicts(_ALL), ("set",)
    )
}
