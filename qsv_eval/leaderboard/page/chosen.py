"""Which samples of a task the page shows: those that went wrong first."""

from collections.abc import Mapping
from math import isnan
from typing import Any, Final, NamedTuple

from qsv_eval.leaderboard.samplelines import SamplesFile, glance, samples_at
from qsv_eval.leaderboard.samples import refuse_repeated, telling_ids
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

    Every line is looked at, but only what is shown is kept, so that memory does not grow with what was said.

    Raises:
        SetupError: a line is no sample, or an id occurs twice.
    """
    glances = glance(file)
    refuse_repeated(file, telling_ids(glances))
    ranks = list(map(_rank, glances.outcomes, glances.scores))
    order = sorted(range(len(ranks)), key=ranks.__getitem__)
    return Chosen(list(samples_at(file, glances.starts, order[:most])), len(ranks))


def _rank(outcome: str, score: float | None) -> float:
    if (rank := _RANKS.get(outcome)) is not None:
        return rank
    # lmms-eval's own tasks have no outcomes: by score, and what has none first.
    return 0 if score is None or isnan(score) else 1 + score
