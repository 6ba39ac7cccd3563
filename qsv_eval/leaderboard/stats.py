"""Differences between two models on the same questions, when several questions share a video.

Questions on one video stand or fall together, so videos are what is drawn: resampling them gives the interval, and
exchanging the two models on whole videos gives the test (Miller 2024, "Adding error bars to evals", on clustering).
Videos that are drawn with replacement vary too little where they are few: deviations are widened for it, and by
Student's t over the normal (Hesterberg 2015, "What teachers should know about the bootstrap", 4.2.1 and 5.3).
"""

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = [
    "Difference",
    "McNemar",
    "difference_of_averages",
    "mcnemar",
    "minimum_detectable",
    "paired_difference",
]

Floats = NDArray[np.float64]
Value = Callable[[Floats], Floats]
"""Function from sums (…, D) to averages (…)."""

_AT_ONCE = 1_000_000
"""Clusters drawn at once while resampling, to bound memory."""


class Difference(NamedTuple):
    """An average of the first minus that of the second."""

    mean: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    p: float
    """Two-sided, under the hypothesis that the two are exchangeable on every video."""
    questions: int
    clusters: int
    error: float
    """Standard error."""


class McNemar(NamedTuple):
    """On how many questions only one of the two is right, and whether that is more than chance."""

    first_only: int
    second_only: int
    p: float
    """Exact and two-sided. It takes questions for independent, so with several on a video it is too small."""


def paired_difference(
    first: Sequence[float],
    second: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> Difference:
    """Compare the mean scores of the same questions.

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
    counts_C = np.bincount(of_N)
    first_C2, second_C2 = (
        np.stack([np.bincount(of_N, weights=np.asarray(scores, float)), counts_C], axis=1).astype(float)
        for scores in (first, second)
    )
    return difference_of_averages(first_C2, second_C2, _mean, questions=len(of_N), resamples=resamples, seed=seed)


def difference_of_averages(
    first_CD: Floats,
    second_CD: Floats,
    value: Value,
    *,
    questions: int,
    resamples: int = 10_000,
    seed: int = 0,
) -> Difference:
    """Compare any average that is a function of sums, on the same clusters.

    Args:
        first_CD: what each cluster adds to the first one's sums.
        second_CD: the same of the second, clusters in the same order.
        value: from sums (…, D) to averages (…).
        questions: how many there are, for the record.
        resamples: draws, for the interval and for the test.
        seed: of the draws.

    Raises:
        ValueError: there are fewer than two clusters.
    """
    count = len(first_CD)
    if count < 2:
        raise ValueError("all questions are of one cluster; a comparison needs two at least")
    mean = float(value(first_CD.sum(0)) - value(second_CD.sum(0)))
    drawn = _resampled(first_CD, second_CD, value, resamples, np.random.default_rng((seed, 0)))
    too_small = math.sqrt(count / (count - 1))
    wider = too_small * float(stats.t.ppf(0.975, count - 1) / stats.norm.ppf(0.975))
    low, high = (mean + wider * (float(end) - mean) for end in drawn.confidence_interval)
    error = too_small * float(drawn.standard_error)
    p = _exchange_test(first_CD, second_CD, value, resamples, np.random.default_rng((seed, 1)))
    return Difference(mean, low, high, p, questions, count, error)


def _resampled(first_CD: Floats, second_CD: Floats, value: Value, resamples: int, rng: np.random.Generator) -> Any:
    """Return scipy's bootstrap of the gap: its 95 % interval and standard error, clusters drawn with replacement."""
    count = len(first_CD)

    def gap(drawn_RC: NDArray[np.intp], axis: int) -> Floats:
        # How often each cluster was drawn, times what it adds: a product of matrices is quicker than gathering rows.
        assert axis == -1, "scipy draws along the last axis"
        numbered_RC = drawn_RC + count * np.arange(len(drawn_RC))[:, None]
        times_RC = np.bincount(numbered_RC.ravel(), minlength=numbered_RC.size).reshape(-1, count).astype(float)
        return value(times_RC @ first_CD) - value(times_RC @ second_CD)

    return stats.bootstrap(
        (np.arange(count),),
        gap,
        n_resamples=resamples,
        batch=max(1, _AT_ONCE // count),
        method="percentile",
        rng=rng,
    )


def _exchange_test(
    first_CD: Floats, second_CD: Floats, value: Value, resamples: int, rng: np.random.Generator
) -> float:
    """Exchange the two on half of the clusters, again and again; return how often the gap is wider than it was.

    Gaps that are as wide count half (Lancaster's mid-p): counts of answers tie so often that the test would else reject
    3.7 % instead of 5 % for 900 questions. `scipy.stats.permutation_test` knows no mid-p, and takes ten times as long.
    """
    apart_CD = second_CD - first_CD
    if not apart_CD.any():
        return 1.0
    first_D, second_D = first_CD.sum(0), second_CD.sum(0)
    observed = abs(value(first_D) - value(second_D))
    wider, left = 0.0, resamples
    while left:
        batch = min(left, max(1, _AT_ONCE // len(apart_CD)))
        left -= batch
        exchanged_RC = rng.integers(0, 2, (batch, len(apart_CD)), dtype=np.int8).astype(float)
        moved_RD = exchanged_RC @ apart_CD
        gaps_R = np.abs(value(first_D + moved_RD) - value(second_D - moved_RD)) - observed
        as_wide = np.abs(gaps_R) < 1e-9
        wider += float((gaps_R[~as_wide] > 0).sum() + as_wide.sum() / 2)
    return (wider + 0.5) / (resamples + 1)


def mcnemar(first_right: Sequence[bool], second_right: Sequence[bool]) -> McNemar:
    """Return McNemar's exact test of two models that were right or wrong on the same questions.

    Raises:
        ValueError: there are not as many of the first as of the second.
    """
    pairs = list(zip(first_right, second_right, strict=True))
    first_only = sum(one and not other for one, other in pairs)
    second_only = sum(other and not one for one, other in pairs)
    differing = first_only + second_only
    p = stats.binomtest(first_only, differing).pvalue if differing else 1.0
    return McNemar(first_only, second_only, float(p))


def minimum_detectable(error: float, clusters: int, power: float = 0.8) -> float | None:
    """Return the true difference that would be found with the given power, None where nothing varies.

    `error` is the standard error of the difference on these questions (Bloom 1995, "Minimum detectable effects").
    """
    if clusters < 2 or not error > 0:
        return None
    free = clusters - 1
    return float(error * (stats.t.ppf(0.975, free) + stats.t.ppf(power, free)))


def _mean(sums: Floats) -> Floats:
    return np.asarray(sums[..., 0] / sums[..., 1])
