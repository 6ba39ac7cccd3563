"""MVBench as its authors ask it, and as the reference does. The average is the mean of the 20 subtasks."""

from collections.abc import Mapping
from typing import Final

from qsv_eval.data.letters import lettered
from qsv_eval.data.sample import Sample
from qsv_eval.scoring.averages import mean_by
from qsv_eval.scoring.scorers import Choice
from qsv_eval.tasks.mvbench.layout import MVBENCH
from qsv_eval.tasks.task import Prompt, Task

__all__ = ["TASKS", "question_block"]

_SYSTEM: Final = (
    "Carefully watch the video and pay attention to the cause and sequence of events, the detail and movement of "
    "objects, and the action and pose of persons. Based on your observations, select the best option that accurately "
    "addresses the question.\n"
)


def question_block(sample: Sample) -> str:
    """Return question and options in the form that MVBench and MLVU share."""
    return "\n".join([f"Question: {sample.question}", "Options:", *lettered(sample.options, "({letter}) {option}")])


def _official(sample: Sample) -> Prompt:
    # The authors also begin the reply, with "Best option:("; a chat model's turn is left to it here.
    return Prompt(f"{question_block(sample)}\nOnly give the best option.", _SYSTEM)


def _reference(sample: Sample) -> Prompt:
    return Prompt(question_block(sample))


_ASKED: Final = {"qsv_mvbench": _official, "qsv_mvbench_reference": _reference}

TASKS: Final[Mapping[str, Task]] = {
    name: Task(name, MVBENCH, "test", ask, Choice(letters="ABCDE"), mean_by("subtask"), ("subtask",))
    for name, ask in _ASKED.items()
}
