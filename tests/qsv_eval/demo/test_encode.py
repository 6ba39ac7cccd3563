"""Clips as files: what they show when decoded, and that racing or killed writers leave one good file."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise

import av
import numpy as np
import pytest

from qsv_eval.demo import draw, encode
from qsv_eval.demo.draw import RGB
from qsv_eval.demo.encode import ensure_video, video_name
from qsv_eval.demo.scene import make_clip

WRITER = "import sys; from qsv_eval.demo import *; print(ensure_video(clip_from_id(sys.argv[1]), sys.argv[2]))"


def decode(path):
    """All frames of a file, as RGB arrays."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def two_main_colours(frame):
    """Names of the two palette colours that most pixels are nearest to, most frequent first."""
    palette = np.array(list(RGB.values()))
    distances = np.abs(frame[:, :, None, :].astype(int) - palette).sum(axis=-1)
    counts = np.bincount(distances.argmin(axis=-1).ravel(), minlength=len(palette))
    return [list(RGB)[position] for position in np.argsort(counts)[::-1][:2]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("clips")


@pytest.mark.parametrize("index", [0, 3, 4, 5])
def test_sampled_instants_of_the_file_show_their_scene(folder, index):
    clip = make_clip("demo", index)
    started_s = time.perf_counter()
    path = ensure_video(clip, folder)
    print(f"{clip.clip_id}: {time.perf_counter() - started_s:.2f} s, {path.stat().st_size / 1e3:.0f} kB")
    frames = decode(path)
    assert len(frames) == clip.duration_s * clip.fps
    for second, position in enumerate(clip.sampled_scenes()):
        frame = frames[second * clip.fps + clip.fps // 2]
        scene = clip.scenes[position]
        assert two_main_colours(frame) == [scene.background, scene.colour]
        drawn = draw.frame_at(clip, second + 0.5)
        assert np.abs(frame.astype(int) - drawn).mean() < 8


def test_the_container_says_what_the_frame_rule_needs(folder):
    clip = make_clip("demo", 0)
    with av.open(str(ensure_video(clip, folder))) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == clip.fps
        assert stream.frames == clip.duration_s * clip.fps
        assert (stream.width, stream.height) == (clip.size_px, clip.size_px)
        assert stream.pix_fmt == "yuv420p"
        times_s = [frame.time for frame in container.decode(stream)]
        assert all(later - sooner == pytest.approx(1 / clip.fps) for sooner, later in pairwise(times_s))


def test_a_file_that_is_there_is_kept(folder):
    clip = make_clip("demo", 0)
    before = ensure_video(clip, folder).stat()
    after = ensure_video(clip, folder).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_equal_clips_make_equal_files_whatever_the_memory_held(folder, tmp_path):
    clip = make_clip("demo", 3)
    command = [sys.executable, "-c", WRITER, clip.clip_id, str(tmp_path / "made" / "here")]
    # glibc fills fresh memory with a pattern made of this value; elsewhere it is ignored.
    subprocess.run(command, env={**os.environ, "MALLOC_PERTURB_": "1"}, check=True, stdout=subprocess.DEVNULL)
    made = tmp_path / "made" / "here" / video_name(clip)
    assert made.read_bytes() == ensure_video(clip, folder).read_bytes()


def test_the_name_changes_with_the_clip_the_drawing_and_the_encoder(monkeypatch):
    clip = make_clip("demo", 0)
    names = {video_name(clip), video_name(replace(clip, size_px=96)), video_name(make_clip("demo", 1))}
    with monkeypatch.context() as patch:
        patch.setitem(RGB, clip.scenes[0].colour, (1, 2, 3))
        names.add(video_name(clip))
    monkeypatch.setattr(encode, "_ENCODERS", {"mpeg4": {}})
    names.add(video_name(clip))
    assert len(names) == 5
    assert all(name.endswith(".mp4") for name in names)


def test_without_x264_the_file_is_as_good(monkeypatch, tmp_path):
    monkeypatch.setattr(encode, "_ENCODERS", {"mpeg4": encode._ENCODERS["mpeg4"]})
    clip = make_clip("demo", 3)
    frames = decode(ensure_video(clip, tmp_path))
    for second, position in enumerate(clip.sampled_scenes()):
        scene = clip.scenes[position]
        assert two_main_colours(frames[second * clip.fps + clip.fps // 2]) == [scene.background, scene.colour]


def test_no_encoder_at_all_is_said(monkeypatch):
    monkeypatch.setattr(encode, "_ENCODERS", {"nothing": {}})
    with pytest.raises(RuntimeError, match="none of the encoders nothing"):
        video_name(make_clip("demo", 0))


def test_four_writers_at_once_leave_one_good_file(folder, tmp_path):
    clip = make_clip("demo", 4)
    command = [sys.executable, "-c", WRITER, clip.clip_id, str(tmp_path)]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    outputs = {writer.communicate()[0].strip() for writer in writers}
    assert [writer.returncode for writer in writers] == [0] * 4
    assert outputs == {str(tmp_path / video_name(clip))}
    assert [path.name for path in tmp_path.iterdir()] == [video_name(clip)]
    assert (tmp_path / video_name(clip)).read_bytes() == ensure_video(clip, folder).read_bytes()


def test_a_killed_writer_leaves_no_file_that_looks_whole(folder, tmp_path):
    clip = make_clip("demo", 5)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, clip.clip_id, str(tmp_path)], stdout=subprocess.DEVNULL)
    while not list(tmp_path.iterdir()) and writer.poll() is None:
        time.sleep(0.002)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    whole = ensure_video(clip, folder).read_bytes()
    assert all(path.read_bytes() == whole for path in tmp_path.glob("*.mp4"))
    assert ensure_video(clip, tmp_path).read_bytes() == whole


def test_a_failed_writer_cleans_up(monkeypatch, tmp_path):
    def broken(spec):
        yield draw.frame_at(spec, 0.0)
        raise OSError("disk on fire")

    monkeypatch.setattr(encode, "video_frames", broken)
    with pytest.raises(OSError, match="disk on fire"):
        ensure_video(make_clip("demo", 0), tmp_path)
    assert not list(tmp_path.iterdir())
