"""Clips as drawn from the seed: reproducible, disjoint over splits, cut where the issue wants them cut."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from qsv_eval.demo.scene import DURATIONS, FPS, SPLITS, clip_from_id, clip_rng, make_clip, max_cuts

RANGES_S = {"short": (12, 20), "medium": (24, 40), "long": (44, 70)}
CLIPS = [make_clip(split, index) for split in SPLITS for index in range(168)]


def test_the_same_seed_gives_the_same_clip():
    assert CLIPS[:168] == [make_clip("demo", index) for index in range(168)]


def test_a_clip_is_found_again_by_its_id():
    assert all(clip_from_id(clip.clip_id) == clip for clip in CLIPS)
    assert clip_from_id("train-123456").index == 123456


@pytest.mark.parametrize("name", ["other-0001", "demo", "demo-", "demo--1", "demo-1x", ""])
def test_what_is_no_clip_id_is_refused(name):
    with pytest.raises(ValueError, match="no clip id"):
        clip_from_id(name)


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="unknown split 'test'"):
        make_clip("test", 0)


def test_splits_and_indices_share_no_seed_and_no_clip():
    streams = {
        clip_rng(split, index, purpose).bytes(16) for split in SPLITS for index in range(9) for purpose in (0, 1)
    }
    assert len(streams) == len(SPLITS) * 9 * 2
    assert len({clip.scenes for clip in CLIPS}) == len(CLIPS)


def test_durations_alternate_and_keep_to_their_ranges():
    for clip in CLIPS:
        assert clip.duration == DURATIONS[clip.index % 3]
        shortest, longest = RANGES_S[clip.duration]
        assert shortest <= clip.duration_s <= longest


def test_scene_counts_over_a_round_of_84_clips_suit_the_question_how_many():
    expected = {2: 11, 3: 21, 4: 21, 5: 21, 6: 10}
    for first in range(0, len(CLIPS), 84):
        assert Counter(len(clip.scenes) for clip in CLIPS[first : first + 84]) == expected


def test_scenes_tile_the_clip_and_each_has_a_sampled_frame():
    for clip in CLIPS:
        assert clip.scenes[0].start_s == 0
        assert all(a.end_s == b.start_s for a, b in pairwise(clip.scenes))
        assert all(scene.n_sampled >= 1 for scene in clip.scenes)
        assert len(list(clip.sampled_scenes())) == clip.duration_s


def test_cuts_lie_near_whole_seconds_and_on_frames():
    for clip in CLIPS:
        for scene in clip.scenes[1:]:
            assert abs(scene.start_s - scene.first_sampled) <= 0.3
            assert scene.start_s * FPS == int(scene.start_s * FPS)


def test_sampled_instants_show_the_scene_that_the_frame_index_says():
    for clip in CLIPS[:84]:
        shown = [clip.scene_at(second + 0.5) for second in range(clip.duration_s)]
        assert shown == [clip.scenes[position] for position in clip.sampled_scenes()]


def test_an_instant_outside_the_clip_is_refused():
    with pytest.raises(ValueError, match="outside the clip"):
        CLIPS[0].scene_at(float(CLIPS[0].duration_s))


def test_no_cut_falls_on_the_five_frame_grid():
    assert all(cut % 5 for clip in CLIPS for cut in clip.cuts)


def test_the_gate_has_enough_cuts_for_every_clip():
    assert all(1 <= len(clip.cuts) <= max_cuts(clip.duration_s) for clip in CLIPS)


def test_max_cuts_follows_the_reference():
    # docs/reference.md, section 4: max(round(n/5)-1, 1), half to even (12.5 -> 12, 17.5 -> 18).
    assert [max_cuts(n) for n in (2, 12, 13, 17, 18, 62, 63, 87, 88)] == [1, 1, 2, 2, 3, 11, 12, 16, 17]


def test_scenes_are_uneven_and_many_are_brief():
    brief = [sum(scene.is_brief for scene in clip.scenes) for clip in CLIPS]
    assert all(2 * n <= len(clip.scenes) for n, clip in zip(brief, CLIPS, strict=True))
    assert sum(n > 0 for n in brief) > 0.7 * len(CLIPS)


def test_scenes_of_a_clip_differ_in_background_and_in_shape_colour():
    for clip in CLIPS:
        assert len({scene.background for scene in clip.scenes}) == len(clip.scenes)
        assert len({scene.colour for scene in clip.scenes}) == len(clip.scenes)
        assert all(scene.background != scene.colour for scene in clip.scenes)


def test_size_is_no_part_of_the_recipe():
    small = replace(CLIPS[0], size_px=48)
    assert small.scenes == CLIPS[0].scenes
    assert small.clip_id == CLIPS[0].clip_id
