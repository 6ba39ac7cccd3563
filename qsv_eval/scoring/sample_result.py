"""The result of one sample: its question, reply and outcome, with all that is needed to score it again."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, TypedDict, cast

from qsv_eval.data.sample import Sample
from qsv_eval.model_adapters.engine.failure import ERROR_REPLY

__all__ = [
    "Extraction",
    "Outcome",
    "SampleResult",
    "count_outcomes",
    "is_failure",
    "new_sample_result",
    "outcome_name",
    "with_extraction",
]


class Outcome(StrEnum):
    """Outcome of one sample. `ERROR` and `UNSCORED` are excluded from the headline score."""

    CORRECT = "correct"
    WRONG = "wrong"
    UNPARSED = "unparsed"
    """The model replied, and no answer can be read from the reply."""
    EMPTY = "empty"
    """The model replied with nothing, or with nothing but its thinking."""
    ERROR = "error"
    """The model never replied: a bad video, an exception."""
    UNSCORED = "unscored"
    """There is a reply and nothing to score it with: no answer in the annotations, a judge that never spoke."""

    @property
    def is_scored(self) -> bool:
        """Whether the question counts in the denominator of the headline."""
        return self not in (Outcome.ERROR, Outcome.UNSCORED)


def count_outcomes(outcomes: Iterable[str]) -> dict[str, int]:
    """Return how many there are of each outcome; all six names, always."""
    counts = Counter(outcomes)
    return {outcome.value: counts[outcome.value] for outcome in Outcome}


def outcome_name(counts: Mapping[str, int]) -> str:
    """Name the outcomes that occurred, as in "15 correct, 1 error"."""
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


class SampleResult(TypedDict):
    """One sample with its reply and score, as plain JSON values."""

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


class Extraction(NamedTuple):
    """The part of a sample result that a scorer sets."""

    outcome: Outcome
    score: float | None
    extracted: str | None = None
    rule: str = ""
    reference: str = ""
    reference_score: float | None = None
    reason: str = ""
    wanted: Sequence[str] = ()
    verdicts: Mapping[str, float] = {}


def new_sample_result(task: str, sample: Sample, reply: str, reason: str = "") -> SampleResult:
    """Return an unscored sample result; `reason` says why the model gave no reply, if it failed."""
    fields: dict[str, Any] = sample.model_dump(mode="json", exclude={"video", "images"})
    cluster = fields.pop("cluster") or sample.id
    unscored: dict[str, Any] = {
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
    return cast(SampleResult, unscored | fields)


def is_failure(row: SampleResult) -> bool:
    """Tell whether the model never replied."""
    return row["reply"] == ERROR_REPLY


def with_extraction(row: SampleResult, extraction: Extraction) -> SampleResult:
    """Return the row with the fields of an extraction."""
    fields = extraction._asdict() | {
        "outcome": extraction.outcome.value,
        "wanted": list(extraction.wanted),
        "verdicts": dict(extraction.verdicts),
    }
    return cast(SampleResult, {**row, **fields})
