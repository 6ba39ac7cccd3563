"""Paired differences on clustered questions: the tests and intervals have their nominal rates."""

import numpy as np
import pytest
from scipy import stats

from qsv_eval.leaderboard.stats import (
    difference_of_averages,
    mcnemar,
    minimum_detectable,
    paired_difference,
)
from qsv_eval.scoring.averages import mean_by


def answers(rng, clusters, per_cluster, gap, correlation=0.3):
    """Two models' right and wrong, correlated within a cluster; the first is better by `gap`."""
    shared = rng.normal(size=(clusters, 1)) * correlation**0.5
    sides = []
    for shift in (gap / 2, -gap / 2):
        latent = shared + rng.normal(size=(clusters, per_cluster)) * (1 - correlation) ** 0.5
        sides.append((latent > -np.sqrt(2 * np.pi) * shift).astype(float).ravel())
    return *sides, np.repeat(np.arange(clusters), per_cluster)


@pytest.fixture(scope="module")
def equals():
    """2,000 pairs of equally good models, three questions a video, correlated by 0.3 within it."""
    return [
        paired_difference(*answers(np.random.default_rng(seed), 300, 3, 0.0), resamples=199, seed=seed)
        for seed in range(2_000)
    ]


def test_equals_are_told_apart_in_5_percent_of_cases(equals):
    assert 0.04 <= np.mean([one.p <= 0.05 for one in equals]) <= 0.06


def test_the_interval_has_the_truth_in_95_percent_of_cases(equals):
    assert 0.93 <= np.mean([one.low <= 0 <= one.high for one in equals]) <= 0.97


@pytest.mark.parametrize("clusters", [10, 30])
def test_few_videos_have_an_interval_as_true(clusters):
    found = [
        paired_difference(*answers(np.random.default_rng(seed), clusters, 3, 0.0), resamples=399, seed=seed)
        for seed in range(1_000)
    ]
    assert 0.93 <= np.mean([one.low <= 0 <= one.high for one in found]) <= 0.97


def test_the_standard_error_is_how_much_differences_vary(equals):
    assert np.mean([one.error for one in equals]) == pytest.approx(np.std([one.mean for one in equals]), rel=0.05)


def test_a_planted_difference_of_8_points_is_found():
    found = [
        paired_difference(*answers(np.random.default_rng(seed), 450, 4, 0.08), resamples=1000) for seed in range(200)
    ]
    assert np.mean([one.p < 0.05 for one in found]) > 0.95
    assert np.mean([one.mean for one in found]) == pytest.approx(0.08, abs=0.005)
    assert np.mean([one.low <= 0.08 <= one.high for one in found]) > 0.9


def test_the_detectable_difference_is_found_four_times_in_five():
    error = paired_difference(*answers(np.random.default_rng(0), 300, 3, 0.0)).error
    detectable = minimum_detectable(error, 300)
    found = [
        paired_difference(*answers(np.random.default_rng(seed), 300, 3, detectable), resamples=400, seed=seed).p < 0.05
        for seed in range(400)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)
    # The power at that difference, exactly: by the noncentral t.
    limit, shift = stats.t.ppf(0.975, 299), detectable / error
    assert stats.nct.sf(limit, 299, shift) == pytest.approx(0.8, abs=0.001)


def test_nothing_is_detectable_where_nothing_varies():
    assert minimum_detectable(0.0, 300) is None
    assert minimum_detectable(0.1, 1) is None


def test_a_test_by_exchange_agrees_with_scipys():
    first, second, clusters = answers(np.random.default_rng(3), 60, 1, 0.25)
    theirs = stats.permutation_test(
        (first, second),
        lambda one, other, axis: (one - other).mean(axis),
        permutation_type="samples",
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    ours = paired_difference(first, second, clusters)
    assert ours.p == pytest.approx(theirs.pvalue, abs=0.03)


def test_any_average_of_sums_can_be_compared():
    """A mean of two groups' means, of which the second is small: not the mean over questions."""
    sums_CD = np.array([[1, 1, 0, 0]] * 8 + [[0, 1, 0, 0]] * 8 + [[0, 0, 1, 1]] * 4, float)
    other_CD = sums_CD.copy()
    other_CD[16:18, 2] = 0

    found = difference_of_averages(sums_CD, other_CD, mean_by("any").value, questions=20, resamples=2_000)
    assert found.mean == pytest.approx(25)
    assert (found.questions, found.clusters) == (20, 20)
    assert found.low < 25 < found.high


def test_mcnemar():
    first = [True] * 10 + [False] * 2 + [True] * 5
    second = [False] * 10 + [True] * 2 + [True] * 5
    found = mcnemar(first, second)
    assert (found.first_only, found.second_only) == (10, 2)
    assert found.p == pytest.approx(2 * sum(stats.binom.pmf(k, 12, 0.5) for k in range(3)))
    assert mcnemar([True], [True]).p == 1.0
    with pytest.raises(ValueError, match="shorter"):
        mcnemar([True, False], [True])


def test_order_and_names_of_clusters_change_nothing_but_chance():
    first, second, clusters = answers(np.random.default_rng(0), 50, 3, 0.1)
    one = paired_difference(first, second, clusters)
    two = paired_difference(first[::-1], second[::-1], [f"clip-{number}" for number in clusters[::-1]])
    assert (one.mean, one.questions, one.clusters) == (two.mean, 150, 50)
    assert one.low == pytest.approx(two.low, abs=0.02)


def test_equal_answers_differ_by_nothing():
    same = paired_difference([1, 0, 1], [1, 0, 1], ["a", "a", "b"])
    assert (same.mean, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="2 and 1 scores, 2 clusters"):
        paired_difference([1, 0], [1], ["a", "b"])
    for one in ([], [1, 0]):
        with pytest.raises(ValueError, match="needs at least two"):
            paired_difference(one, one, ["a"] * len(one))
