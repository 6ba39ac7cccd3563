"""LVBench, whose questions may want several abilities at once."""

from collections.abc import Mapping
from typing import Final

from qsv_eval.data.letters import lettered
from qsv_eval.data.sample import Sample
from qsv_eval.scoring.scorers import Choice
from qsv_eval.tasks.lvbench.layout import LVBENCH
from qsv_eval.tasks.task import Prompt, Task

__all__ = ["TASKS"]


def _standard(sample: Sample) -> Prompt:
    options = lettered(sample.options, "({letter}) {option}")
    return Prompt("\n".join([sample.question, *options, "Answer the question with the option letter"]))


TASKS: Final[Mapping[str, Task]] = {
    "qsv_lvbench": Task("qsv_lvbench", LVBENCH, "test", _standard, Choice(), fields=("ability",))
}
