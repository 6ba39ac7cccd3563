"""Agreement of two judges beyond chance: Cohen's kappa (1960; weighted, 1968)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qsv_eval.judge.types import Verdict

__all__ = ["Agreement", "Kappa", "agreement"]


class Kappa(NamedTuple):
    """Agreement on one thing that both judges say."""

    kappa: float | None
    """1 is full agreement, 0 is chance. None where there is no such number: no shared case, or one answer for all."""
    n: int
    """Cases on which both spoke."""
    disagreeing: tuple[str, ...]
    """Ids of those on which they differ, in any degree."""


@dataclass(frozen=True)
class Agreement:
    """Agreement of two judges on the cases that both judged."""

    correct: Kappa
    """On yes and no."""
    scores: Mapping[str, Kappa]
    """By dimension; squared distances, so that 4 against 5 weighs little and 0 against 5 much."""
    unshared: tuple[str, ...]
    """Ids that only one of them judged."""


def agreement(first: Mapping[str, Verdict], second: Mapping[str, Verdict]) -> Agreement:
    """Compare the verdicts of two judges, by id. Give one benchmark at a time: kappa depends on the mix of cases."""
    shared = sorted(first.keys() & second.keys())
    said = [id_ for id_ in shared if first[id_].correct is not None and second[id_].correct is not None]
    names = sorted({name for id_ in shared for name in first[id_].scores.keys() & second[id_].scores.keys()})
    scores = {}
    for name in names:
        ids = [id_ for id_ in shared if name in first[id_].scores and name in second[id_].scores]
        scores[name] = _kappa(ids, [first[i].scores[name] for i in ids], [second[i].scores[name] for i in ids])
    return Agreement(
        # Of two values, squared distances are the unweighted kappa.
        correct=_kappa(
            said, [float(first[i].correct or 0) for i in said], [float(second[i].correct or 0) for i in said]
        ),
        scores=scores,
        unshared=tuple(sorted(first.keys() ^ second.keys())),
    )


def _kappa(ids: Sequence[str], first: Sequence[float], second: Sequence[float]) -> Kappa:
    """Return 1 - (squared distance found) / (squared distance of independent judges with the same habits)."""
    a_N, b_N = np.asarray(first), np.asarray(second)
    disagreeing = tuple(id_ for id_, a, b in zip(ids, first, second, strict=True) if a != b)
    # The mean over all pairs, without writing the pairs down.
    expected = float(a_N.var() + b_N.var() + (a_N.mean() - b_N.mean()) ** 2) if ids else 0.0
    return Kappa(1 - float(np.mean((a_N - b_N) ** 2)) / expected if expected else None, len(ids), disagreeing)
