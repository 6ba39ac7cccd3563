"""MLVU: seven tasks with options, whose accuracies are averaged (M-Avg), and two that a judge scores (G-Avg)."""

from collections.abc import Mapping, Sequence
from typing import Final

from qsv_eval.data.sample import Sample
from qsv_eval.scoring.averages import mean_by, mean_of_verdicts
from qsv_eval.scoring.row import Row
from qsv_eval.scoring.scorers import Choice, Judged
from qsv_eval.tasks.mlvu.layout import MLVU, MLVU_TEST
from qsv_eval.tasks.mvbench.task import question_block
from qsv_eval.tasks.task import Prompt, Task

__all__ = ["TASKS"]

_SYSTEM: Final = "Carefully watch this video and pay attention to every detail. "
_CHOOSE: Final = "Based on your observations, select the best option that accurately addresses the question."

_PROTOCOLS: Final[Mapping[str, str]] = {"sub_scene": "mlvu_subscene", "summary": "mlvu_summary"}


def _official(sample: Sample) -> Prompt:
    # The authors also begin the reply, with "Best option: ("; a chat model's turn is left to it here.
    return Prompt(f"{question_block(sample)}\nOnly give the best option.", _SYSTEM + _CHOOSE)


def _reference(sample: Sample) -> Prompt:
    last = "Respond with only the letter (A, B, C or D) of the correct option."
    return Prompt(f"{question_block(sample)}\n{last}")


def _open(sample: Sample) -> Prompt:
    return Prompt(sample.question, _SYSTEM)


def _wanted(row: Row) -> Sequence[str]:
    return [_PROTOCOLS[str(row["groups"]["task"])]]


def _submission(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Return the list that the authors' server takes; a reply without a letter is left empty, not guessed at."""
    return [
        {"question_id": row["id"], "question_type": str(row["groups"]["task"]), "option": row["extracted"] or ""}
        for row in sorted(rows, key=lambda row: row["id"])
    ]


TASKS: Final[Mapping[str, Task]] = {
    "qsv_mlvu": Task("qsv_mlvu", MLVU, "choice", _official, Choice(), mean_by("task"), ("task",)),
    "qsv_mlvu_reference": Task("qsv_mlvu_reference", MLVU, "choice", _reference, Choice(), mean_by("task"), ("task",)),
    "qsv_mlvu_generation": Task(
        "qsv_mlvu_generation",
        MLVU,
        "generation",
        _open,
        Judged(_wanted),
        mean_of_verdicts(tuple(_PROTOCOLS.values())),
        ("task",),
    ),
    "qsv_mlvu_test": Task(
        "qsv_mlvu_test",
        MLVU_TEST,
        "test",
        _official,
        Choice(letters="ABCDEF"),
        mean_by("task"),
        ("task",),
        submission=_submission,
    ),
}
