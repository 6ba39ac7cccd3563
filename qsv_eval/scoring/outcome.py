"""What became of a question, and what a set of outcomes is worth.

A failure is a value of its own: it is neither a wrong answer nor left out without a word. The headline is
correct / (n - error - unscored), and the range from the lowest to the highest possible score says how far the
questions without a score could still move it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict

__all__ = ["Outcome", "Summary", "Tally"]


class Outcome(StrEnum):
    """What became of one question. Only `CORRECT` scores; `ERROR` and `UNSCORED` are no part of the headline."""

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


class Summary(TypedDict):
    """A tally as it stands in the results file. Scores are in percent."""

    n: int  # questions asked, failures included
    counts: dict[str, int]  # how many of each outcome; all six names, always
    accuracy: float | None  # the headline; None where nothing was scored
    complete: bool  # no errors, nothing unscored
    lowest: float | None  # the score if everything without one were wrong; None for no questions
    highest: float | None  # the same if everything without one were correct


@dataclass(frozen=True)
class Tally:
    """How many questions came to each outcome."""

    correct: int = 0
    wrong: int = 0
    unparsed: int = 0
    empty: int = 0
    error: int = 0
    unscored: int = 0

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> "Tally":
        """Count outcomes."""
        counts = Counter(outcomes)
        return cls(**{outcome.value: counts[outcome] for outcome in Outcome})

    @property
    def counts(self) -> dict[str, int]:
        """Every outcome's number, by name and in the order of `Outcome`."""
        return {outcome.value: getattr(self, outcome.value) for outcome in Outcome}

    @property
    def n(self) -> int:
        """Questions asked."""
        return sum(self.counts.values())

    @property
    def n_scored(self) -> int:
        """Questions in the denominator of the headline."""
        return self.n - self.error - self.unscored

    @property
    def accuracy(self) -> float | None:
        """The headline in percent, or None where nothing was scored: there is no value to make up for it."""
        return _percent(self.correct, self.n_scored)

    @property
    def complete(self) -> bool:
        """Whether every question has a score."""
        return self.n_scored == self.n

    @property
    def lowest(self) -> float | None:
        """The score in percent if every question without a score were wrong."""
        return _percent(self.correct, self.n)

    @property
    def highest(self) -> float | None:
        """The score in percent if every question without a score were correct."""
        return _percent(self.correct + self.error + self.unscored, self.n)

    def summary(self) -> Summary:
        """Return the tally in the form in which it is stored."""
        return Summary(
            n=self.n,
            counts=self.counts,
            accuracy=self.accuracy,
            complete=self.complete,
            lowest=self.lowest,
            highest=self.highest,
        )

    @property
    def named(self) -> str:
        """The outcomes that occurred, as in "15 correct, 1 error"."""
        return ", ".join(f"{count} {name}" for name, count in self.counts.items() if count)

    def __str__(self) -> str:
        line = f"{self.n} asked: {self.named}" if self.n else "none asked"
        return line if self.complete else f"{line} (incomplete: {self.lowest:.1f}\u2013{self.highest:.1f})"


def _percent(part: int, whole: int) -> float | None:
    return 100.0 * part / whole if whole else None
