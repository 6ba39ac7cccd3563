import json

import pytest

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.errors import SetupError


def test_cuts_are_the_references(data):
    table = json.loads((data / "reference" / "tables.json").read_text())["num_cuts_by_frames"]
    assert {frames: CubeRule().cuts(int(frames)) for frames in table} == table


def test_there_are_never_more_cuts_than_gaps():
    assert CubeRule().cubes(1) == 1
    assert [CubeRule(frames_per_cube=0.5).cuts(frames) for frames in (1, 2, 3, 10)] == [0, 1, 2, 9]


def test_a_budget_bounds_the_cubes_of_long_videos_only():
    rule = CubeRule(max_cubes=20)
    assert [rule.cubes(frames) for frames in (1, 30, 100, 420)] == [1, 6, 20, 20]
    assert CubeRule(max_cubes=1).cubes(420) == 1


def test_what_is_said_replaces_what_was():
    rule = CubeRule("equal", 4)
    assert rule.with_overrides({"max_cubes": 9, "frames_per_cube": None, "fps": 2}) == CubeRule("equal", 4, 9)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cubing": "fair"}, "learned, equal, difference"),
        ({"frames_per_cube": 0}, "above 0"),
        ({"max_cubes": 0}, "whole number from 1"),
        ({"max_cubes": 2.5}, "whole number from 1"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(wrong, message):
    with pytest.raises(SetupError, match=message):
        CubeRule(**wrong)
