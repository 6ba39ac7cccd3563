"""Differences between two models on the same questions, when several questions share a video.

Questions on one video stand or fall together, so videos are what is drawn: resampling them gives the interval, and
exchanging the two models on whole videos gives the test (Miller 2024, "Adding error bars to evals", on clustering).
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Difference", "paired_difference"]

_BLOCK = 2_000
"""Resamples drawn at once, to bound memory."""


class Difference(NamedTuple):
    """Mean score of the first minus that of the second."""

    mean: float
    low: float
    """Of the 95 % interval."""
    high: float
    p: float
    """Two-sided, under the hypothesis that the two are exchangeable on every video."""
    questions: int
    clusters: int


def paired_difference(
    first: Sequence[float],
    second: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> Difference:
    """Compare scores of the same questions.

    Args:
        first: scores, one for each question.
        second: scores of the same questions in the same order.
        clusters: what each question shares with others, such as its video.
        resamples: draws, for the interval and for the test.
        seed: of the draws.

    Raises:
        ValueError: the three differ in length, or there is nothing.
    """
    if not len(first) == len(second) == len(clusters):
        raise ValueError(f"{len(first)} and {len(second)} scores, {len(clusters)} clusters: they must be as many")
    if not len(first):
        raise ValueError("there is nothing to compare")
    _, of_N = np.unique(np.asarray([str(one) for one in clusters]), return_inverse=True)
    differences_N = np.asarray(first, float) - np.asarray(second, float)
    sums_C, counts_C = np.bincount(of_N, weights=differences_N), np.bincount(of_N)
    rng = np.random.default_rng(seed)
    means, flipped = [], []
    for begin in range(0, resamples, _BLOCK):
        draws = min(_BLOCK, resamples - begin)
        chosen = rng.integers(len(sums_C), size=(draws, len(sums_C)))
        means.append(sums_C[chosen].sum(1) / counts_C[chosen].sum(1))
        flipped.append(rng.choice([-1.0, 1.0], size=(draws, len(sums_C))) @ sums_C)
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    # The data as they are count as one of the draws, or p could be 0; ties are met up to rounding.
    as_far = int((np.abs(np.concatenate(flipped)) >= abs(sums_C.sum()) - 1e-9).sum())
    p = (as_far + 1) / (resamples + 1)
    return Difference(float(differences_N.mean()), float(low), float(high), p, len(differences_N), len(sums_C))
