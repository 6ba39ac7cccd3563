"""The arithmetic of outcomes, by hand."""

from collections import Counter
from itertools import product

import pytest

from qsv_eval.scoring.outcome import Outcome, Tally


def test_there_are_six_outcomes():
    assert [str(outcome) for outcome in Outcome] == ["correct", "wrong", "unparsed", "empty", "error", "unscored"]


def test_unparsed_and_empty_count_as_not_correct():
    assert Tally(correct=1, wrong=1, unparsed=1, empty=1).accuracy == 25.0


def test_failures_leave_the_denominator_and_open_a_range():
    tally = Tally(correct=15, wrong=44, error=1)
    assert tally.n == 60
    assert tally.n_scored == 59
    assert tally.accuracy == pytest.approx(100 * 15 / 59)
    assert not tally.complete
    assert tally.lowest == 25.0
    assert tally.highest == pytest.approx(100 * 16 / 60)
    assert str(tally) == "60 asked: 15 correct, 44 wrong, 1 error (incomplete: 25.0\u201326.7)"


def test_unscored_is_treated_as_error_is():
    assert Tally(correct=1, error=2, unscored=3).accuracy == Tally(correct=1, error=5).accuracy == 100.0
    assert Tally(correct=1, unscored=3).highest == 100.0
    assert Tally(correct=1, unscored=3).lowest == 25.0


def test_complete_runs_have_no_range():
    tally = Tally(correct=3, wrong=1)
    assert tally.complete
    assert tally.lowest == tally.accuracy == tally.highest == 75.0
    assert str(tally) == "4 asked: 3 correct, 1 wrong"


def test_no_value_is_made_up():
    nothing, failed = Tally(), Tally(error=3)
    assert nothing.accuracy is nothing.lowest is nothing.highest is None
    assert nothing.complete
    assert str(nothing) == "none asked"
    assert failed.accuracy is None
    assert (failed.lowest, failed.highest) == (0.0, 100.0)
    assert str(failed) == "3 asked: 3 error (incomplete: 0.0\u2013100.0)"


def test_the_headline_lies_within_the_range():
    for counts in product(range(3), repeat=6):
        tally = Tally(*counts)
        if tally.accuracy is not None:
            assert 0 <= tally.lowest <= tally.accuracy <= tally.highest <= 100


def test_counting_names_every_outcome():
    tally = Tally.of([Outcome.CORRECT, Outcome.CORRECT, Outcome.ERROR])
    assert tally == Tally(correct=2, error=1)
    assert tally.summary() == {
        "n": 3,
        "counts": {"correct": 2, "wrong": 0, "unparsed": 0, "empty": 0, "error": 1, "unscored": 0},
        "accuracy": 100.0,
        "complete": False,
        "lowest": pytest.approx(200 / 3),
        "highest": 100.0,
    }
    assert Counter(tally.counts).total() == tally.n
