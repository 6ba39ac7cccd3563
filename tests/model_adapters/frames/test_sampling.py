import dataclasses
import itertools
import json
import pickle
import random
from pathlib import Path

import pytest

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.frames import FrameRule, subsample
from qsv_eval.model_adapters.frames.sampling import nested_subsample

TABLES = json.loads((Path(__file__).parents[2] / "data" / "frame_tables.json").read_text())
SAMPLED = [row for row in TABLES["sampling_opencv"] if "error" not in row]


@pytest.mark.parametrize("row", SAMPLED, ids=str)
def test_reference_rule_gives_the_references_frames(row):
    rule = FrameRule(fps=row["fps"], max_frames=row["num_frames"])
    indices = rule.indices(row["video_fps"], row["frame_count"], row["start_sec"], row["end_sec"])
    timestamps = [round(index / row["video_fps"], 1) for index in indices]
    expected = row["timestamps"]
    if "..." in expected:  # the table keeps both ends of a long list
        middle = expected.index("...")
        timestamps = [*timestamps[:middle], "...", *timestamps[len(timestamps) - len(expected) + middle + 1 :]]
    assert len(indices) == row["n"]
    assert timestamps == expected


@pytest.mark.parametrize("row", TABLES["uniform_sample"], ids=str)
def test_thin_matches_the_reference(row):
    assert subsample(row["len"], row["n"]) == row["idx"]


def test_thin_is_even_and_complete():
    rng = random.Random(0)
    for _ in range(300):
        count, limit = rng.randint(0, 5000), rng.randint(1, 500)
        kept = subsample(count, limit)
        assert len(kept) == min(count, limit)
        gaps = [later - earlier for earlier, later in itertools.pairwise(kept)]
        assert not gaps or (min(gaps) >= 1 and max(gaps) - min(gaps) <= 1)


@pytest.mark.parametrize("fps", [0.5, 0.4, 0.01])
def test_reference_refuses_rates_that_round_to_nothing(fps):
    with pytest.raises(SetupError, match=rf"fps {fps} .*frame rule 'blocks'"):
        FrameRule(fps=fps)
    assert FrameRule(fps=fps, name="blocks").fps == fps


@pytest.mark.parametrize(
    ("field", "value"),
    [("fps", 0), ("fps", -1.0), ("fps", float("nan")), ("fps", float("inf")), ("max_frames", 0), ("max_frames", 2.5)],
)
def test_wrong_settings_name_field_and_value(field, value):
    with pytest.raises(SetupError, match=rf"{field} {value} is not a"):
        FrameRule(**{"name": "blocks", field: value})


def test_unknown_rule_lists_the_known_ones():
    with pytest.raises(SetupError, match="'uniform' is unknown: use one of reference, blocks"):
        FrameRule(name="uniform")


@pytest.mark.parametrize("video_fps", [0.5, 0.1])
def test_slide_shows_give_every_frame(video_fps):
    assert FrameRule().indices(video_fps, 20) == list(range(20))


def test_blocks_take_the_middle_of_each():
    assert FrameRule(name="blocks").instants(30, 300) == [k + 0.5 for k in range(10)]
    assert FrameRule(fps=0.1, name="blocks").instants(30, 30 * 35) == [5.0, 15.0, 25.0]
    assert FrameRule(fps=2, name="blocks").indices(30, 300, start_s=4, end_s=6) == [127, 142, 157, 172]
    assert FrameRule(fps=100, name="blocks").indices(10, 50) == list(range(50))


def test_blocks_stay_inside_the_segment():
    rng = random.Random(1)
    for _ in range(300):
        video_fps, frame_count = rng.choice([10, 23.976, 29.97, 60]), rng.randint(1, 3000)
        start_s = rng.uniform(0, frame_count / video_fps)
        end_s = start_s + rng.uniform(0, 50)
        rule = FrameRule(fps=rng.uniform(0.01, 70), max_frames=rng.choice([None, 8]), name="blocks")
        indices = rule.indices(video_fps, frame_count, start_s, end_s)
        assert indices == sorted(set(indices))
        assert all(int(start_s * video_fps) <= index < min(end_s * video_fps, frame_count) for index in indices)


@pytest.mark.parametrize(("frame_count", "expected"), [(1, 0), (2, 0), (3, 1), (14, 6), (15, 7)])
def test_clips_too_short_for_the_reference_give_their_middle_frame(frame_count, expected):
    assert FrameRule().indices(30, frame_count) == []
    assert FrameRule().instants(30, frame_count) == [expected / 30]


def test_short_segments_give_their_own_middle_frame():
    assert FrameRule().instants(30, 900, start_s=29.8) == [896 / 30]


def test_no_frames_no_instants():
    assert FrameRule().instants(30, 0) == []


def test_absurd_lengths_cost_nothing():
    assert len(FrameRule().indices(30, 10**12)) == 420


def test_spread_is_nested():
    rng = random.Random(0)
    for _ in range(200):
        count = rng.randint(1, 5000)
        less, more = sorted(rng.randint(1, 600) for _ in range(2))
        few, many = nested_subsample(count, less), nested_subsample(count, more)
        assert set(few) <= set(many) <= set(range(count))
        assert (len(few), len(many)) == (min(count, less), min(count, more))
        assert few == sorted(few)


@pytest.mark.parametrize("limit", [2, 8, 64, 256])
def test_spread_is_even_at_powers_of_two(limit):
    gaps = [after - before for before, after in itertools.pairwise(nested_subsample(3600, limit))]
    assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("limit", [3, 100, 420, 3000])
def test_spread_has_gaps_of_two_lengths_at_most(limit):
    gaps = {after - before for before, after in itertools.pairwise(nested_subsample(3600, limit))}
    assert max(gaps) <= 2 * min(gaps) + 1


def test_nested_limits_look_at_no_more_than_the_largest():
    rules = [FrameRule(max_frames=limit, name="nested") for limit in (8, 16, 64, 256, 420)]
    seen = [set(rule.indices(25.0, 25 * 3600)) for rule in rules]
    assert set().union(*seen) == seen[-1]
    every = FrameRule(max_frames=None, name="blocks").indices(25.0, 25 * 3600)
    assert seen[-1] <= set(every)
    assert FrameRule(max_frames=420, name="nested").indices(25.0, 25 * 60) == FrameRule(name="blocks").indices(
        25.0, 25 * 60
    )


def test_rule_is_a_plain_value():
    rule = FrameRule(fps=2, max_frames=32)
    assert dataclasses.asdict(rule) == {"fps": 2, "max_frames": 32, "name": "reference"}
    assert pickle.loads(pickle.dumps(rule)) == rule
    assert hash(rule) == hash(FrameRule(fps=2, max_frames=32))
