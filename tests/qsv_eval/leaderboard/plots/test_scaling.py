"""Fits of a power law: the true law is found, and none is made up from too few points."""

import numpy as np
import pytest

from qsv_eval.leaderboard.plots.scaling import fit_power_law

FRAMES = [8, 16, 32, 64, 128, 256]


def test_it_finds_the_law_behind_the_points():
    law = fit_power_law(FRAMES, [40 * n**0.08 for n in FRAMES], [1.0] * 6)
    assert (law.factor, law.exponent) == pytest.approx((40, 0.08))
    assert law.low == pytest.approx(law.exponent) == law.high
    assert law.r_squared == pytest.approx(1)
    assert law.residuals == pytest.approx([0] * 6, abs=1e-9)


def test_the_interval_of_the_exponent_covers_the_true_one_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        noisy = [40 * n**0.08 * np.exp(rng.normal(0, 0.02)) for n in FRAMES]
        law = fit_power_law(FRAMES, noisy, [1.0] * 6)
        covered += law.low <= 0.08 <= law.high
    assert 0.93 <= covered / 2000 <= 0.97


def test_points_with_wide_intervals_weigh_less():
    scores = [40.0, 44.0, 48.0, 20.0]
    narrow = fit_power_law(FRAMES[:4], scores, [1.0] * 4)
    wide = fit_power_law(FRAMES[:4], scores, [1.0, 1.0, 1.0, 50.0])
    assert narrow.exponent < 0 < wide.exponent


def test_residuals_are_scores_less_the_fit():
    scores = [40.0, 50.0, 45.0]
    law = fit_power_law(FRAMES[:3], scores, [None] * 3)
    assert np.add(law.residuals, law.at(np.array(FRAMES[:3], float))) == pytest.approx(scores)


@pytest.mark.parametrize(
    ("frames", "scores"),
    [([8, 16], [40, 50]), ([8, 8, 16], [40, 41, 50]), ([8, 16, 32], [40, 0, 50]), ([0, 16, 32], [40, 45, 50])],
    ids=["two points", "two numbers of frames", "a score of 0", "no frames"],
)
def test_there_is_no_fit_where_there_can_be_none(frames, scores):
    assert fit_power_law(frames, scores, [1.0] * len(frames)) is None
