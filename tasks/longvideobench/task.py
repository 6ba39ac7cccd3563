"""LongVideoBench's validation questions, without the subtitles that its authors put between the frames."""

from collections.abc import Mapping
from typing import Final

from qsv_eval.data.letters import lettered
from qsv_eval.data.sample import Sample
from qsv_eval.scoring.scorers import Choice
from qsv_eval.tasks.longvideobench.layout import LONGVIDEOBENCH
from qsv_eval.tasks.task import ANSWER_BY_LETTER, Prompt, Task

__all__ = ["TASKS"]


def _standard(sample: Sample) -> Prompt:
    return Prompt("\n".join([sample.question, *lettered(sample.options), ANSWER_BY_LETTER]))


TASKS: Final[Mapping[str, Task]] = {
    "qsv_longvideobench": Task(
        "qsv_longvideobench",
        LONGVIDEOBENCH,
        "val",
        _standard,
        Choice(letters="ABCDE"),
        fields=("duration", "category", "topic"),
    )
}
