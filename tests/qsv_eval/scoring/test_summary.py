"""One summary of a task."""

import json

import pytest

from qsv_eval.data.sample import Sample
from qsv_eval.model_adapters.engine.failure import ERROR_REPLY
from qsv_eval.scoring.averages import POOLED, mean_by
from qsv_eval.scoring.sample_result import new_sample_result
from qsv_eval.scoring.scorers import Choice, score_sample
from qsv_eval.scoring.summary import summarise


def rows(*said, groups=None):
    """Score replies of which A is right; two questions a video."""
    return [
        score_sample(
            new_sample_result(
                "qsv_x",
                Sample(
                    id=f"{place:03d}",
                    question="Which?",
                    options=("red", "green"),
                    answer="A",
                    cluster=f"v{place // 2}",
                    groups=groups(place) if groups else {"kind": "ab"[place % 2]},
                ),
                reply,
            ),
            Choice(),
        )
        for place, reply in enumerate(said)
    ]


def test_the_headline_and_what_stands_behind_it():
    found = summarise(rows("A", "B", "", "hm", "A", ERROR_REPLY), POOLED, ("kind",))
    assert found["n"] == 6
    assert found["counts"] == {"correct": 2, "wrong": 1, "unparsed": 1, "empty": 1, "error": 1, "unscored": 0}
    assert found["value"] == pytest.approx(40.0)
    assert not found["complete"]
    assert (found["lowest"], found["highest"]) == (pytest.approx(100 / 3), pytest.approx(50.0))
    assert found["unparsed_share"] == pytest.approx(20.0)
    assert found["clusters"] == 3
    low, high = found["interval"]
    assert low < 40.0 < high
    assert str(found) == "6 asked: 2 correct, 1 wrong, 1 unparsed, 1 empty, 1 error (incomplete: 33.3\u201350.0)"


def test_groups_have_figures_of_their_own():
    found = summarise(rows("A", "B", "A", "", "A", ERROR_REPLY), POOLED, ("kind",))
    kinds = found["breakdown"]["kind"]
    assert list(kinds) == ["a", "b"]
    assert kinds["a"]["value"] == 100.0
    assert kinds["b"]["n"] == 3
    assert kinds["b"]["counts"]["error"] == 1
    assert (kinds["b"]["value"], kinds["b"]["highest"]) == (0.0, pytest.approx(100 / 3))


def test_micro_and_macro_stand_beside_the_official_average():
    said = rows("A", "A", "A", "B", groups=lambda place: {"kind": "one" if place < 3 else "two"})
    found = summarise(said, mean_by("kind"), ("kind",))
    assert (found["value"], found["macro"], found["micro"]) == (50.0, 50.0, 75.0)
    assert summarise(said, POOLED, ("kind",))["value"] == 75.0
    assert summarise(said, POOLED, ())["macro"] is None


def test_a_question_of_several_kinds_counts_in_each():
    said = rows("A", "B", groups=lambda place: {"kind": ["x", "y"] if place else ["x"]})
    kinds = summarise(said, POOLED, ("kind",))["breakdown"]["kind"]
    assert (kinds["x"]["n"], kinds["x"]["value"], kinds["y"]["value"]) == (2, 50.0, 0.0)


def test_further_averages_are_named():
    found = summarise(rows("A", "B"), POOLED, ("kind",), {"by kind": mean_by("kind")})
    assert found["also"]["by kind"]["value"] == 50.0


def test_the_order_of_rows_does_not_matter_and_it_goes_through_json():
    said = rows("A", "B", "A", "hm", "The answer is B")
    one, other = summarise(said, POOLED, ("kind",)), summarise(said[::-1], POOLED, ("kind",))
    assert json.dumps(one) == json.dumps(other)


def test_nothing_asked():
    found = summarise([], POOLED, ("kind",))
    assert (found["n"], found["value"], found["complete"], str(found)) == (0, None, True, "none asked")


def test_extractors_that_disagree_are_counted():
    found = summarise(rows("Best answer: A", "A", "Both are red"), POOLED, ())
    assert found["disagreements"] == 2
