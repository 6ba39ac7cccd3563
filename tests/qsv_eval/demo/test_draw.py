"""Frames as drawn: big clear shapes in the named colours that move the named way, also at 48 px."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from qsv_eval.demo.draw import RGB, frame_at, sampled_frames, sampled_instants_s, video_frames
from qsv_eval.demo.scene import COLOURS, SHAPES, make_clip

CLIPS = [replace(make_clip("demo", index), size_px=48) for index in range(12)]
AXES = {"left": (1, -1), "right": (1, 1), "up": (0, -1), "down": (0, 1)}


def shape_mask(frame, scene):
    return np.all(frame == RGB[scene.colour], axis=-1)


def centre(mask, axis):
    """Circular mean position of a mask along one axis, as an angle in radians."""
    angles = 2 * np.pi * np.arange(mask.shape[axis]) / mask.shape[axis]
    weights = mask.sum(axis=1 - axis)
    return np.angle((weights * np.exp(1j * angles)).sum())


def test_the_same_seed_gives_the_same_bytes_also_in_another_process():
    code = (
        "import hashlib; from qsv_eval.demo import make_clip, sampled_frames;"
        "print(hashlib.sha256(sampled_frames(make_clip('train', 7)).tobytes()).hexdigest())"
    )
    other = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "9"},
        capture_output=True,
        text=True,
        check=True,
    )
    here = hashlib.sha256(sampled_frames(make_clip("train", 7)).tobytes()).hexdigest()
    assert other.stdout.strip() == here


def test_sampled_frames_have_one_frame_a_second():
    clip = CLIPS[0]
    frames = sampled_frames(clip)
    assert frames.shape == (clip.duration_s, 48, 48, 3)
    assert frames.dtype == np.uint8
    assert sampled_instants_s(clip)[:2] == [0.5, 1.5]
    assert len(list(video_frames(clip))) == clip.duration_s * clip.fps


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.clip_id)
def test_a_frame_holds_its_background_and_a_big_shape_and_nothing_else(clip):
    for t_s, frame in zip(sampled_instants_s(clip), sampled_frames(clip), strict=True):
        scene = clip.scene_at(t_s)
        shape = shape_mask(frame, scene)
        background = np.all(frame == RGB[scene.background], axis=-1)
        assert np.all(shape ^ background)
        assert 0.08 < shape.mean() < 0.40


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.clip_id)
def test_the_shape_moves_its_way_between_sampled_frames(clip):
    frames, shown = sampled_frames(clip), list(clip.sampled_scenes())
    for t in range(1, len(frames)):
        scene = clip.scenes[shown[t]]
        if shown[t - 1] != shown[t]:
            continue
        for axis in (0, 1):
            turn = centre(shape_mask(frames[t], scene), axis) - centre(shape_mask(frames[t - 1], scene), axis)
            step = ((turn + np.pi) % (2 * np.pi) - np.pi) / (2 * np.pi)
            moving, sign = AXES[scene.direction]
            expected = sign * scene.speed if axis == moving else 0.0
            assert step == pytest.approx(expected, abs=0.02)


def test_a_scene_starts_with_its_shape_whole():
    for clip in CLIPS:
        for scene in clip.scenes:
            mask = shape_mask(frame_at(clip, scene.first_sampled + 0.5), scene)
            edges = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
            assert not edges.any()


def test_colours_are_far_apart():
    assert set(RGB) == set(COLOURS)
    for one, other in combinations(RGB.values(), 2):
        assert np.linalg.norm(np.subtract(one, other)) > 120


def test_shapes_of_one_size_differ_in_many_pixels():
    scene = replace(CLIPS[0].scenes[0], x=0.5, y=0.5, radius=0.25)
    masks = []
    for shape in SHAPES:
        drawn = replace(scene, shape=shape)
        clip = replace(CLIPS[0], scenes=(drawn, *CLIPS[0].scenes[1:]))
        masks.append(shape_mask(frame_at(clip, 0.5), drawn))
    for one, other in combinations(masks, 2):
        assert (one ^ other).sum() > 0.2 * np.minimum(one.sum(), other.sum())


def test_an_unknown_shape_is_refused():
    scene = replace(CLIPS[0].scenes[0], shape="blob")
    with pytest.raises(ValueError, match="unknown shape 'blob'"):
        frame_at(replace(CLIPS[0], scenes=(scene,)), 0.5)
