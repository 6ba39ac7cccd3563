"""Which samples of a task the page shows: those that went wrong first."""

import heapq
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from qsv_eval.leaderboard.samplelines import SampleLine, SamplesFile, sample_lines
from qsv_eval.leaderboard.samples import refuse_repeated
from qsv_eval.scoring.outcome import Outcome

__all__ = ["Chosen", "choose_samples"]

_FIRST: Final = (
    Outcome.WRONG,
    Outcome.UNPARSED,
    Outcome.EMPTY,
    Outcome.ERROR,
    Outcome.UNSCORED,
    Outcome.CORRECT,
)
"""The order in which samples are shown, and kept where there are more than are wanted."""
_RANKS: Final[Mapping[str, int]] = {outcome.value: rank for rank, outcome in enumerate(_FIRST)}


class Chosen(NamedTuple):
    """Samples of a task of a run."""

    samples: list[dict[str, Any]]
    """Those that are shown, each with the names of `samplelines.SAMPLES`."""
    total: int
    """How many there are in all."""


def choose_samples(file: SamplesFile, most: int) -> Chosen:
    """Return at most so many samples: wrong ones, then other failures, then right ones, each as in the file.

    Every line is read and checked, but only what is shown is kept, so that memory does not grow with the file.

    Raises:
        SetupError: a line is no sample, or an id occurs twice.
    """
    ids: list[str] = []

    def noted() -> Iterator[SampleLine]:
        for line in sample_lines(file):
            ids.append(line.id)
            yield line

    kept = heapq.nsmallest(most, noted(), key=_rank)
    refuse_repeated(file, ids)
    return Chosen([line.columns() for line in kept], len(ids))


def _rank(line: SampleLine) -> float:
    if (rank := _RANKS.get(line.outcome)) is not None:
        return rank
    # lmms-eval's own tasks have no outcomes: by score, and what has none first. Only NaN is not equal to itself.
    return 0 if line.score is None or line.score != line.score else 1 + line.score
