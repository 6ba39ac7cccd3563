"""The built-in sample benchmark as it is asked."""

from collections.abc import Mapping
from typing import Final

from qsv_eval.data.sample import Sample
from qsv_eval.scoring.scorers import Choice
from qsv_eval.tasks.demo.layout import Demo, clip_path
from qsv_eval.tasks.task import Prompt, Task

__all__ = ["TASKS"]


def _bare(sample: Sample) -> Prompt:
    # No instructions: the built-in model knows some eighty words, and learnt letters in this layout.
    return Prompt("\n".join([sample.question, *sample.options, "Answer:"]))


TASKS: Final[Mapping[str, Task]] = {
    "qsv_demo": Task("qsv_demo", Demo(), "test", _bare, Choice(), fields=("duration", "task_type"), locate=clip_path)
}
