"""What became of a question. A failure is a value of its own: neither a wrong answer nor left out without a word."""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum

__all__ = ["Outcome", "count_outcomes", "named"]


class Outcome(StrEnum):
    """What became of one question. `ERROR` and `UNSCORED` are no part of the headline."""

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


def named(counts: Mapping[str, int]) -> str:
    """Name the outcomes that occurred, as in "15 correct, 1 error"."""
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)
