"""Several requests on one file: each gets the frames that it would have read alone."""

import pickle
from fractions import Fraction

import numpy as np
import pytest

from qsv_eval.model_adapters.errors import MediaError, MediaFault, SetupError
from qsv_eval.model_adapters.frames import (
    ClipRequest,
    DecodedFrames,
    FrameRule,
    FrameSelection,
    read_frames,
    read_video,
)
from qsv_eval.model_adapters.frames import decoded_frames as decoded_frames_module

SIZE = (96, 160)
REQUESTS = [
    ClipRequest(FrameRule()),
    ClipRequest(FrameRule(max_frames=2)),
    ClipRequest(FrameRule(fps=7, max_frames=13), 1.1, 2.9),
    ClipRequest(FrameRule(fps=30), 2.0, 2.5),
    ClipRequest(FrameRule(fps=0.7, name="blocks"), None, 100.0),
    ClipRequest(FrameRule()),
]
X264 = {"bf": "3", "sc_threshold": "0"}
TIMES_MS = [round(k * 1000 / 30) for k in range(60)] + [2000 + 200 * k for k in range(60)]
ENCODINGS = {
    "plain.mp4": {"options": {**X264, "g": "40"}},
    "open_gop.mp4": {"options": {"x264-params": "open-gop=1:keyint=25:bframes=3:scenecut=0"}},
    "intra_refresh.mp4": {"options": {"x264-params": "intra-refresh=1:keyint=30:scenecut=0"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "40", "auto-alt-ref": "1", "lag-in-frames": "16"}},
    "plain.ts": {"options": {**X264, "g": "40"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"bf": "2", "g": "30"}},
    "variable.mkv": {"pts": TIMES_MS, "time_base": Fraction(1, 1000), "options": X264},
}


def assert_as_read_alone(decoded_frames: DecodedFrames, path, requests, size=SIZE, resize="exact"):
    for request, view in zip(requests, decoded_frames.views, strict=True):
        clip = read_video(path, request.rule, size, request.start_s, request.end_s, resize)
        assert np.array_equal(decoded_frames.frames[view.positions], clip.frames)
        assert [decoded_frames.timestamps_s[position] for position in view.positions] == clip.timestamps_s
        assert (view.requested_s, view.duration_s) == (clip.requested_s, clip.duration_s)
        assert view.shortfall == clip.shortfall
        assert decoded_frames.fps == clip.fps


@pytest.mark.parametrize("name", ENCODINGS)
def test_each_request_sees_what_it_reads_alone(name, make_video):
    path = make_video(name, **ENCODINGS[name])
    decoded_frames = read_frames(path, REQUESTS, SIZE)
    assert_as_read_alone(decoded_frames, path, REQUESTS)
    assert decoded_frames.timestamps_s == sorted(set(decoded_frames.timestamps_s))
    seen = {position for view in decoded_frames.views for position in view.positions}
    assert seen == set(range(len(decoded_frames.frames)))
    assert decoded_frames.packet_errors == 0


def test_every_size_and_resize(plain_video):
    for size, resize in [((84, 70), "exact"), ((84, 70), "fast")]:
        assert_as_read_alone(read_frames(plain_video, REQUESTS, size, resize), plain_video, REQUESTS, size, resize)


def test_a_frame_that_several_want_is_decoded_once(plain_video, monkeypatch):
    converted = []

    class Counting(decoded_frames_module.PixelConverter):
        def __call__(self, frame):
            converted.append(frame.pts)
            return super().__call__(frame)

    monkeypatch.setattr(decoded_frames_module, "PixelConverter", Counting)
    decoded_frames = read_frames(plain_video, [*REQUESTS, *REQUESTS], SIZE)
    assert len(converted) == len(set(converted)) == len(decoded_frames.frames)


def test_frames_lie_in_the_room_that_was_given(plain_video):
    buffers = []

    def allocate(shape: tuple[int, ...]) -> np.ndarray:
        buffers.append(np.full(shape, 7, dtype=np.uint8))
        return buffers[-1]

    decoded_frames = read_frames(plain_video, REQUESTS, SIZE, allocate=allocate)
    assert len(buffers) == 1
    assert decoded_frames.frames.shape == buffers[0].shape
    assert np.shares_memory(decoded_frames.frames, buffers[0])
    assert np.array_equal(decoded_frames.frames, read_frames(plain_video, REQUESTS, SIZE).frames)


def test_a_single_clip_is_not_copied(plain_video, monkeypatch):
    buffer = np.zeros((4, *SIZE, 3), dtype=np.uint8)
    monkeypatch.setattr("qsv_eval.model_adapters.frames.reader.read_frames", with_buffer(buffer))
    assert read_video(plain_video, FrameRule(), SIZE).frames.base is buffer


def with_buffer(buffer: np.ndarray):
    return lambda *arguments: read_frames(*arguments, allocate=lambda shape: buffer)


def test_one_request_outside_of_the_file_costs_the_others_nothing(plain_video):
    requests = [ClipRequest(FrameRule(), 9.0, 12.0), REQUESTS[0], ClipRequest(FrameRule(), 3.0, 1.0)]
    decoded_frames = read_frames(plain_video, requests, SIZE)
    assert [type(view) for view in decoded_frames.views] == [MediaError, FrameSelection, MediaError]
    assert decoded_frames.views[0].fault is decoded_frames.views[2].fault is MediaFault.OUT_OF_RANGE
    assert "9.0 s to 12.0 s of 4.00 s" in str(decoded_frames.views[0])
    assert decoded_frames.timestamps_s == [0.5, 1.5, 2.5, 3.5]
    with pytest.raises(MediaError, match=r"9\.0 s to 12\.0 s"):
        read_frames(plain_video, [requests[0], requests[2]], SIZE)


def test_a_request_in_the_missing_part_of_a_cut_file(make_video, tmp_path):
    whole = make_video("to_cut.mp4", options={"g": "40"}, container_options={"movflags": "faststart"})
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    decoded_frames = read_frames(path, [ClipRequest(FrameRule()), ClipRequest(FrameRule(), 3.6)], SIZE)
    assert decoded_frames.views[0].shortfall >= 1
    assert decoded_frames.views[1].fault in {MediaFault.TRUNCATED, MediaFault.UNDECODABLE}


def test_whole_files_that_fail_raise(tmp_path):
    (tmp_path / "page.mp4").write_text("<html>404 Not Found</html>")
    for name, fault in [("nowhere.mp4", MediaFault.MISSING), ("page.mp4", MediaFault.UNDECODABLE)]:
        with pytest.raises(MediaError) as caught:
            read_frames(tmp_path / name, REQUESTS, SIZE)
        assert caught.value.fault is fault


def test_wrong_calls(plain_video):
    with pytest.raises(SetupError, match="resize = 'best' is unknown: use one of exact, fast"):
        read_frames(plain_video, REQUESTS, resize="best")
    with pytest.raises(ValueError, match="no requests"):
        read_frames(plain_video, [])


def test_requests_and_footage_are_plain_values(plain_video):
    assert hash(ClipRequest(FrameRule(), 1.0)) == hash(ClipRequest(FrameRule(), 1.0))
    decoded_frames = read_frames(plain_video, [REQUESTS[0], ClipRequest(FrameRule(), 9.0)], SIZE)
    again = pickle.loads(pickle.dumps(decoded_frames))
    assert again.views[0] == decoded_frames.views[0]
    assert (again.views[1].fault, again.views[1].detail) == (
        decoded_frames.views[1].fault,
        decoded_frames.views[1].detail,
    )
    assert np.array_equal(again.frames, decoded_frames.frames)
