"""The frame store returns the same frames as reading the video."""

import os
import time
from fractions import Fraction

import numpy as np
import pytest

from qsv_eval.model_adapters.errors import MediaError, MediaFault, SetupError
from qsv_eval.model_adapters.frames import ClipRequest, FrameRule, FrameStore
from qsv_eval.model_adapters.frames import store as store_module

SIZE = (96, 160)
A, B, C = ClipRequest(FrameRule()), ClipRequest(FrameRule(max_frames=2)), ClipRequest(FrameRule(fps=7), 1.1, 2.9)
OUTSIDE = ClipRequest(FrameRule(), 9.0)
X264 = {"bf": "3", "sc_threshold": "0"}
ENCODINGS = {
    "plain.mp4": {"options": {**X264, "g": "40"}},
    "open_gop.mkv": {"options": {"x264-params": "open-gop=1:keyint=25:bframes=3:scenecut=0"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "40", "auto-alt-ref": "1", "lag-in-frames": "16"}},
    "plain.ts": {"options": {**X264, "g": "40"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"bf": "2", "g": "30"}},
    "stored.mkv": {"pts": [k * k for k in range(60)], "time_base": Fraction(1, 1000), "count": 60, "options": X264},
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_the_second_reading_is_the_first(store, make_video, name, assert_read):
    path = make_video(name, **ENCODINGS[name])
    requests = [A, B, ClipRequest(FrameRule(fps=7), 0.4, 1.9), OUTSIDE]
    assert_read(store, path, requests, hit=False)
    assert_read(store, path, requests, hit=True)


def test_an_entry_serves_some_of_its_requests_in_any_order(store, plain_video, assert_read, entries):
    store.read(plain_video, [A, B, C, OUTSIDE], SIZE)
    for requests in ([A], [B, A], [C, A], [C], [A, A], [OUTSIDE, B], [A, B, C, OUTSIDE]):
        assert_read(store, plain_video, requests, hit=True)
    assert len(entries(store)) == 1
    assert_read(store, plain_video, [A, ClipRequest(FrameRule(max_frames=3))], hit=False)
    assert len(entries(store)) == 2


def test_requests_that_mean_the_same_are_the_same(store, plain_video, assert_read):
    store.read(plain_video, [ClipRequest(FrameRule(fps=1), None, 2)], SIZE)
    assert_read(store, plain_video, [ClipRequest(FrameRule(fps=1.0), 0, np.float32(2.0))], hit=True)


def test_any_difference_in_the_frames_is_a_miss(store, plain_video, make_video, monkeypatch, assert_read):
    store.read(plain_video, [A], SIZE)
    assert_read(store, plain_video, [A], size=(90, 160), hit=False)
    assert_read(store, plain_video, [A], resize="fast", hit=False)
    assert_read(store, make_video("plain.mkv", **ENCODINGS["plain.mp4"]), [A], hit=False)
    monkeypatch.setattr(store_module, "_frame_version", lambda: "another FFmpeg")
    assert_read(store, plain_video, [A], hit=False)


def test_a_copy_elsewhere_is_the_same_video(store, plain_video, tmp_path, assert_read):
    store.read(plain_video, [A, OUTSIDE], SIZE)
    copy = tmp_path / "copy.bin"
    copy.write_bytes(plain_video.read_bytes())
    assert_read(store, copy, [A, OUTSIDE], hit=True)  # its error names the copy


def test_frames_lie_in_the_room_that_was_given(store, plain_video):
    buffers = []

    def allocate(shape):
        buffers.append(np.full(shape, 7, dtype=np.uint8))
        return buffers[-1]

    for requests in ([A, C], [A, C], [A]):
        decoded = store.read(plain_video, requests, SIZE, allocate=allocate).footage
        assert np.shares_memory(decoded.frames, buffers[-1])
    assert [len(buffer) for buffer in buffers] == [len(buffers[0]), len(buffers[0]), 4]


def test_errors_are_those_of_reading(store, plain_video, tmp_path):
    (tmp_path / "page.mp4").write_text("<html>404 Not Found</html>")
    store.read(plain_video, [A, OUTSIDE], SIZE)
    for path, fault in [
        (tmp_path / "nowhere.mp4", MediaFault.MISSING),
        (tmp_path / "page.mp4", MediaFault.UNDECODABLE),
        (plain_video, MediaFault.OUT_OF_RANGE),
    ]:
        with pytest.raises(MediaError, match=str(path)) as caught:
            store.read(path, [OUTSIDE], SIZE)
        assert caught.value.fault is fault
    with pytest.raises(SetupError, match="resize = 'best'"):
        store.read(plain_video, [A], resize="best")
    with pytest.raises(ValueError, match="no requests"):
        store.read(plain_video, [])


def test_of_a_damaged_video_only_the_same_requests_are_served(store, make_video, tmp_path, assert_read):
    data = bytearray(make_video("to_damage.mp4", options=X264 | {"g": "40"}).read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = b"\xff" * 4000
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    every = ClipRequest(FrameRule(fps=30))
    assert store.read(path, [every, A], SIZE).footage.packet_errors > 0
    assert_read(store, path, [A, every], hit=True)
    assert_read(store, path, [A], hit=False)


def test_a_video_that_changes_while_it_is_read_is_not_kept(store, plain_video, tmp_path, entries):
    path = tmp_path / "growing.mp4"
    path.write_bytes(plain_video.read_bytes())

    def allocate(shape):
        os.utime(path, (1, 1))
        return np.empty(shape, np.uint8)

    store.read(path, [A], SIZE, allocate=allocate)
    assert entries(store) == []


def test_what_was_used_least_recently_goes_first(store, entries, of_seconds):
    paths = [of_seconds(seconds) for seconds in (4, 5, 6)]
    for age_s, path in zip((30, 20, 10), paths, strict=True):
        before = set(entries(store))
        store.read(path, [A], SIZE)
        (entry,) = set(entries(store)) - before
        os.utime(entry, (time.time() - age_s,) * 2)
    assert store.read(paths[0], [A], SIZE).hit  # so the second is the oldest now
    small = FrameStore(store.folder, sum(entry.stat().st_size for entry in entries(store)))
    assert not small.read(of_seconds(3), [A], SIZE).hit
    assert [small.read(path, [A], SIZE).hit for path in (paths[0], paths[2])] == [True, True]
    assert sum(entry.stat().st_size for entry in entries(store)) <= small.max_bytes
    assert not small.read(paths[1], [A], SIZE).hit
