"""One question with its reply and what came of it: what a run stores, and all that scoring it again needs."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypedDict, cast

from qsv_eval.data.sample import Sample
from qsv_eval.model_adapters.engine.failure import ERROR_REPLY
from qsv_eval.scoring.outcome import Outcome

__all__ = ["Reading", "Row", "is_failure", "new_row", "with_reading"]


class Row(TypedDict):
    """A question after it was asked. Plain values, so that it goes through JSON unchanged."""

    task: str
    id: str
    cluster: str
    groups: dict[str, str | list[str]]
    notes: dict[str, str]
    question: str
    options: list[str]
    answer: str
    answers: list[str]
    reply: str
    outcome: str
    score: float | None  # 0 to 1; None where there is none
    extracted: str | None
    rule: str  # by which the answer was read
    reference: str  # what the reference's extractor reads
    reference_score: float | None
    reason: str  # why there is no score
    wanted: list[str]  # dimensions for which a judge is asked
    verdicts: dict[str, float]  # the judge's scores by dimension, on its own scale


class Reading(NamedTuple):
    """What a scorer makes of a row."""

    outcome: Outcome
    score: float | None
    extracted: str | None = None
    rule: str = ""
    reference: str = ""
    reference_score: float | None = None
    reason: str = ""
    wanted: Sequence[str] = ()
    verdicts: Mapping[str, float] = {}


def new_row(task: str, sample: Sample, reply: str, reason: str = "") -> Row:
    """Return a row that nobody has scored; `reason` says why the model gave no reply, if it did not."""
    said: dict[str, Any] = sample.model_dump(mode="json", exclude={"video", "images"})
    cluster = said.pop("cluster") or sample.id
    own: dict[str, Any] = {
        "task": task,
        "cluster": cluster,
        "reply": reply,
        "outcome": Outcome.UNSCORED.value,
        "score": None,
        "extracted": None,
        "rule": "",
        "reference": "",
        "reference_score": None,
        "reason": reason,
        "wanted": [],
        "verdicts": {},
    }
    return cast(Row, own | said)


def is_failure(row: Row) -> bool:
    """Tell whether the model never replied."""
    return row["reply"] == ERROR_REPLY


def with_reading(row: Row, reading: Reading) -> Row:
    """Return the row with what a scorer made of it."""
    found = reading._asdict() | {
        "outcome": reading.outcome.value,
        "wanted": list(reading.wanted),
        "verdicts": dict(reading.verdicts),
    }
    return cast(Row, {**row, **found})
