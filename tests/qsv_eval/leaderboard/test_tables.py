"""Marks of numbers: best, second best, not significantly different from the best."""

import pytest

from qsv_eval.leaderboard.load import tidy
from qsv_eval.leaderboard.records import OFFICIAL, OWN, PUBLISHED
from qsv_eval.leaderboard.tables import Mark, breakdowns, headline_table


def score(model, value, *, half=1.0, n=100, task="qsv_x", setting="", kind=OFFICIAL, complete=True, **more):
    interval = {} if half is None else {"low": value - half, "high": value + half}
    fixed = {"higher_is_better": True, "shown": True, "scale": "percent", "field": "", "complete": complete}
    return fixed | {
        "model": model,
        "value": value,
        "n": n,
        "task": task,
        "setting": setting,
        "kind": kind,
        **interval,
        **more,
    }


def marks(*scores):
    table = headline_table(tidy(scores), "x")
    return {place.model: (cells[0].mark, cells[0].is_near_best) for place, cells in table.rows}


def test_best_second_and_what_cannot_be_told_apart():
    assert marks(score("a", 60), score("b", 59), score("c", 58.9), score("d", 50)) == {
        "a": (Mark.BEST, False),
        "b": (Mark.SECOND, True),
        "c": (Mark.NONE, True),
        "d": (Mark.NONE, False),
    }


def test_two_can_be_told_apart_where_the_difference_exceeds_both_intervals_together():
    width = (1.0**2 + 2.0**2) ** 0.5
    assert marks(score("a", 60, half=1.0), score("b", 60 - width + 0.01, half=2.0))["b"] == (Mark.SECOND, True)
    assert marks(score("a", 60, half=1.0), score("b", 60 - width - 0.01, half=2.0))["b"] == (Mark.SECOND, False)


def test_an_interval_that_ends_at_100_is_as_wide_as_its_other_side():
    cut = {"low": 96.4, "high": 100.0}
    assert marks(score("a", 98.8, half=None, **cut), score("b", 95.5, half=2.5))["b"] == (Mark.SECOND, True)


def test_a_number_without_an_interval_is_told_apart_by_the_other_ones():
    """At 100 % nothing varies."""
    wide = score("b", 90, n=10, half=22)
    assert marks(score("a", 100, n=10, half=None), wide)["b"] == (Mark.SECOND, True)
    assert marks(score("a", 100, half=None), score("b", 90, half=2))["b"] == (Mark.SECOND, False)
    assert marks(score("a", 60.1, half=None, kind=OWN), score("b", 60.0, half=None, kind=OWN))["b"][1] is False


def test_scores_by_different_judges_do_not_compete():
    both = score("a", 60, judge="gpt"), score("b", 50, judge="gpt")
    assert marks(*both)["a"][0] is Mark.BEST
    assert set(marks(both[0], both[1] | {"judge": "qwen"}).values()) == {(Mark.NONE, False)}


def test_equals_are_both_the_best():
    found = marks(score("a", 60), score("b", 60), score("c", 50))
    assert found["a"] == found["b"] == (Mark.BEST, False)
    assert found["c"][0] is Mark.SECOND


@pytest.mark.parametrize(
    ("best", "alike", "scale"), [(60.04, 59.96, "percent"), (3.424, 3.416, "0 to 5"), (0.123449, 0.123351, "")]
)
def test_numbers_that_are_printed_alike_are_both_the_best(best, alike, scale):
    found = marks(score("a", best, scale=scale), score("b", alike, scale=scale), score("c", best / 2, scale=scale))
    assert found["a"] == found["b"] == (Mark.BEST, False)
    assert found["c"][0] is Mark.SECOND


@pytest.mark.parametrize(
    "other",
    [
        score("b", 99, complete=False),
        score("b", 99, n=20),
        score("b", 99, kind=PUBLISHED, n=None, half=None),
        score("b", None, half=None),
    ],
    ids=["incomplete", "fewer questions", "published", "without a value"],
)
def test_what_is_not_comparable_does_not_compete(other):
    found = marks(score("a", 60), score("c", 50), other)
    assert found["a"][0] is Mark.BEST
    assert found["c"][0] is Mark.SECOND
    assert found["b"] == (Mark.NONE, False)


def test_one_number_alone_is_no_best():
    assert marks(score("a", 60))["a"] == (Mark.NONE, False)


def test_lower_may_be_better():
    found = marks(score("a", 60, higher_is_better=False, kind=OWN), score("b", 50, higher_is_better=False, kind=OWN))
    assert found["b"][0] is Mark.BEST


def test_rows_and_columns_are_in_order_and_missing_is_none():
    table = headline_table(
        tidy(
            [
                score("m", 1, setting="max_frames=128"),
                score("m", 1, setting="max_frames=64", task="foreign", kind=OWN),
                score("m", 1, setting="max_frames=64"),
                score("z-peer", 1, kind=PUBLISHED),
                score("a-peer", 1, kind=PUBLISHED, task="qsv_unmeasured"),
                score("old", 1, shown=False),
            ]
        ),
        "x",
    )
    assert table.columns == ("qsv_x", "foreign (lmms-eval's own)")
    assert [(place.model, place.setting) for place, _ in table.rows] == [
        ("m", "max_frames=64"),
        ("m", "max_frames=128"),
        ("z-peer", ""),
    ]
    assert table.rows[1][1][1] is None


def test_a_breakdown_for_each_task_and_field():
    found = breakdowns(
        tidy(
            [
                score("a", 60, field="duration", group="short"),
                score("a", 50, field="duration", group="long"),
                score("b", 40, field="duration", group="long"),
                score("a", 60, field="domain", group="Sports"),
                score("p", 70, field="duration", group="long", kind=PUBLISHED),
            ]
        )
    )
    assert [(table.title, table.columns) for table in found] == [
        ("qsv_x: domain", ("Sports",)),
        ("qsv_x: duration", ("short", "long")),
    ]
    assert [place.model for place, _ in found[1].rows] == ["a", "b", "p"]
