"""Paired differences on clustered questions: they are found where they are, and not where they are not."""

import numpy as np
import pytest

from qsv_eval.leaderboard.stats import paired_difference


def answers(rng, clusters, per_cluster, gap, correlation=0.3):
    """Two models' right and wrong, correlated within a cluster; the first is better by `gap`."""
    shared = rng.normal(size=(clusters, 1)) * correlation**0.5
    sides = []
    for shift in (gap / 2, -gap / 2):
        latent = shared + rng.normal(size=(clusters, per_cluster)) * (1 - correlation) ** 0.5
        sides.append((latent > -np.sqrt(2 * np.pi) * shift).astype(float).ravel())
    return *sides, np.repeat(np.arange(clusters), per_cluster)


def test_a_planted_difference_of_8_points_is_found():
    found = [
        paired_difference(*answers(np.random.default_rng(seed), 450, 4, 0.08), resamples=1000) for seed in range(40)
    ]
    assert np.mean([one.p < 0.05 for one in found]) > 0.9
    assert np.mean([one.mean for one in found]) == pytest.approx(0.08, abs=0.01)


def test_no_difference_is_seldom_found():
    found = [paired_difference(*answers(np.random.default_rng(seed), 80, 3, 0.0), resamples=500) for seed in range(300)]
    assert 0.02 < np.mean([one.p < 0.05 for one in found]) < 0.09
    assert 0.91 < np.mean([one.low <= 0 <= one.high for one in found]) < 0.98


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
        with pytest.raises(ValueError, match="needs two at least"):
            paired_difference(one, one, ["a"] * len(one))
