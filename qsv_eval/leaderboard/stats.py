"""Differences between two models on the same questions, when several questions share a video.

Questions on one video stand or fall together, so videos are what is drawn: resampling them gives the interval, and
exchanging the two models on whole videos gives the test (Miller 2024, "Adding error bars to evals", on clustering).
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap, permutation_test

__all__ = ["Difference", "paired_difference"]

_BATCH = 2_000
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
        ValueError: the three differ in length, or there are fewer than two clusters.
    """
    if not len(first) == len(second) == len(clusters):
        raise ValueError(f"{len(first)} and {len(second)} scores, {len(clusters)} clusters: they must be as many")
    _, of_N = np.unique(np.asarray([str(one) for one in clusters]), return_inverse=True)
    differences_N = np.asarray(first, float) - np.asarray(second, float)
    sums_C, counts_C = np.bincount(of_N, weights=differences_N), np.bincount(of_N)
    if len(sums_C) < 2:
        raise ValueError("all questions are of one cluster; a comparison needs two at least")
    common = {"vectorized": True, "n_resamples": resamples, "batch": _BATCH}
    interval = bootstrap(
        (sums_C, counts_C), _mean, paired=True, method="percentile", rng=np.random.default_rng((seed, 0)), **common
    ).confidence_interval
    p = permutation_test(
        (sums_C, np.zeros_like(sums_C)),
        lambda first_C, second_C, axis: (first_C - second_C).sum(axis),
        permutation_type="samples",
        rng=np.random.default_rng((seed, 1)),
        **common,
    ).pvalue
    low, high = map(float, interval)
    return Difference(float(differences_N.mean()), low, high, float(p), len(differences_N), len(sums_C))


def _mean(sums_C: np.ndarray, counts_C: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(sums_C.sum(axis) / counts_C.sum(axis))
