"""EgoSchema's 500 questions with published answers."""

from collections.abc import Mapping
from typing import Final

from qsv_eval.data.letters import lettered
from qsv_eval.data.sample import Sample
from qsv_eval.scoring.scorers import Choice
from qsv_eval.tasks.egoschema.layout import EGOSCHEMA
from qsv_eval.tasks.task import ANSWER_BY_LETTER, Prompt, Task

__all__ = ["TASKS"]


def _standard(sample: Sample) -> Prompt:
    return Prompt("\n".join([sample.question, *lettered(sample.options), ANSWER_BY_LETTER]))


TASKS: Final[Mapping[str, Task]] = {
    "qsv_egoschema": Task("qsv_egoschema", EGOSCHEMA, "subset", _standard, Choice(letters="ABCDE"))
}
