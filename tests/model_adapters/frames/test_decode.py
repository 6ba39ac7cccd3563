"""Frame k of any file equals frame k of a full sequential decode, byte for byte."""

import itertools
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from qsv_eval.model_adapters.frames import FrameRule, read_video
from qsv_eval.model_adapters.frames.decode import DecodeRun, group_by_keyframe
from qsv_eval.model_adapters.frames.packet_index import PacketIndex, SeekMode

SIZE = (96, 160)
X264 = {"bf": "3", "sc_threshold": "0"}
ENCODINGS = {
    "gop250.mp4": {"options": {**X264, "g": "250"}, "count": 300},
    "gop12.mp4": {"options": {**X264, "g": "12"}},
    "pyramid.mp4": {"options": {"x264-params": "bframes=8:b-pyramid=strict:keyint=50:scenecut=0"}},
    "open_gop.mp4": {"options": {"x264-params": "open-gop=1:keyint=25:bframes=3:scenecut=0"}},
    "open_gop.mkv": {"options": {"x264-params": "open-gop=1:keyint=25:bframes=3:scenecut=0"}},
    "intra_refresh.mp4": {"options": {"x264-params": "intra-refresh=1:keyint=30:scenecut=0"}},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "keyint=30:open-gop=1:log-level=none"}},
    "plain.mkv": {"options": {**X264, "g": "40"}},
    "vp8.webm": {"codec": "libvpx", "options": {"g": "40", "auto-alt-ref": "1", "lag-in-frames": "16"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "40", "auto-alt-ref": "1", "lag-in-frames": "16"}},
    "av1.mp4": {"codec": "libsvtav1", "options": {"preset": "12", "g": "40", "svtav1-params": "lookahead=10"}},
    "plain.ts": {"options": {**X264, "g": "40"}},
    "plain.flv": {"options": {**X264, "g": "40"}},
    "h264.avi": {"options": {**X264, "g": "40"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"bf": "2", "g": "30"}},
    "plain.mpg": {"codec": "mpeg2video", "options": {"bf": "2", "g": "15"}},
    "plain.h264": {"options": {**X264, "g": "40"}},
    "intra_only.mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "late_start.mp4": {"pts": list(range(300, 420)), "time_base": Fraction(1, 30), "options": X264},
}
RULES = [FrameRule(fps=30, max_frames=None), FrameRule(), FrameRule(max_frames=2), FrameRule(fps=7, max_frames=13)]


@pytest.mark.parametrize("name", ENCODINGS)
def test_frames_equal_a_full_decode(name, make_video, decode_all, read_number):
    path = make_video(name, **ENCODINGS[name])
    all_frames = decode_all(path)
    assert [read_number(frame) for frame in all_frames] == list(range(len(all_frames)))
    for rule in RULES:
        clip = read_video(path, rule, size=SIZE)
        indices = rule.indices(30, len(all_frames))
        assert [read_number(frame) for frame in clip.frames] == indices
        assert np.array_equal(clip.frames, np.stack([all_frames[index] for index in indices]))
        assert clip.timestamps_s == pytest.approx([index / 30 for index in indices], abs=0.001)
        assert (clip.shortfall, clip.packet_errors) == (0, 0)


def test_a_cut_by_edit_list_between_keyframes_is_honoured(plain_video, tmp_path, decode_all, read_number):
    data = bytearray(plain_video.read_bytes())
    field = data.index(b"elst") + 12  # version, flags, entry count; then duration, media time, rate
    duration_ms, media_time = struct.unpack(">II", data[field : field + 8])
    data[field : field + 8] = struct.pack(">II", duration_ms - 1000, media_time + 30 * 512)
    path = tmp_path / "edited.mp4"
    path.write_bytes(data)
    all_frames = decode_all(path)
    assert [read_number(frame) for frame in all_frames] == list(range(30, 120))
    clip = read_video(path, FrameRule(), size=SIZE)
    assert [read_number(frame) for frame in clip.frames] == [45, 75, 105]
    assert clip.timestamps_s == [0.5, 1.5, 2.5]
    assert clip.duration_s == pytest.approx(3.0)


def test_a_transport_stream_that_begins_between_keyframes(make_video, tmp_path, decode_all, read_number):
    with av.open(make_video("plain.ts", **ENCODINGS["plain.ts"])) as source:
        path = tmp_path / "tuned_in.ts"
        with av.open(path, "w") as target:
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in itertools.islice(source.demux(video=0), 15, 120):
                packet.stream = stream
                target.mux(packet)
    all_frames = decode_all(path)
    assert read_number(all_frames[0]) == 40
    clip = read_video(path, FrameRule(), size=SIZE)
    assert [read_number(frame) for frame in clip.frames] == [55, 85, 115]
    assert clip.timestamps_s == pytest.approx([0.5, 1.5, 2.5])


def test_variable_rate_goes_by_time(make_video, read_number):
    """30 frames per second for 2 s, then 5 per second for 12 s: by number, the frames would all come from 0 to 4 s."""
    times_ms = [round(k * 1000 / 30) for k in range(60)] + [2000 + 200 * k for k in range(60)]
    path = make_video("variable.mkv", pts=times_ms, time_base=Fraction(1, 1000), options=X264)
    clip = read_video(path, FrameRule(), size=SIZE)
    for frame, timestamp_s, requested_s in zip(clip.frames, clip.timestamps_s, clip.requested_s, strict=True):
        number = read_number(frame)
        assert timestamp_s == pytest.approx(times_ms[number] / 1000, abs=0.001)
        assert abs(timestamp_s - requested_s) <= min(abs(time / 1000 - requested_s) for time in times_ms) + 0.001
    assert len(clip.frames) == 14
    assert clip.duration_s == pytest.approx(13.9, abs=0.3)


def test_one_frame_that_serves_two_instants_is_kept_once(make_video):
    times_ms = [0, 33, 67, 100, 3000]
    path = make_video("frozen.mkv", count=5, pts=times_ms, time_base=Fraction(1, 1000), options={"bf": "0"})
    clip = read_video(path, FrameRule(), size=SIZE)
    assert clip.timestamps_s == sorted(set(clip.timestamps_s))
    assert clip.shortfall == len(clip.requested_s) - len(clip.frames) > 0


def index_with(seek_mode: SeekMode) -> PacketIndex:
    return PacketIndex(0, seek_mode, 30.0, Fraction(1, 30), list(range(120)), [0, 40, 80], 4.0, 120)


def test_a_new_run_starts_where_a_keyframe_lies_between():
    assert group_by_keyframe(index_with(SeekMode.SEEK), [15, 39, 40, 110]) == [
        DecodeRun(0, [15, 39]),
        DecodeRun(1, [40]),
        DecodeRun(2, [110]),
    ]
    assert group_by_keyframe(index_with(SeekMode.SEEK), [110]) == [DecodeRun(2, [110])]


@pytest.mark.parametrize("seek_mode", [SeekMode.STREAM, SeekMode.COUNT])
def test_without_a_trusted_index_all_is_one_run(seek_mode):
    assert group_by_keyframe(index_with(seek_mode), [15, 39, 40, 110]) == [DecodeRun(0, [15, 39, 40, 110])]


def test_nothing_wanted_nothing_planned():
    assert group_by_keyframe(index_with(SeekMode.STREAM), []) == []


EVERY_FRAME = FrameRule(fps=30)


def test_exact_is_pillows_bicubic(plain_video, decode_all):
    all_frames = decode_all(plain_video)
    clip = read_video(plain_video, FrameRule(), size=(84, 70))
    expected = [np.asarray(Image.fromarray(all_frames[k]).resize((70, 84), Image.Resampling.BICUBIC)) for k in (15, 45)]
    assert clip.frames.shape == (4, 84, 70, 3)
    assert clip.frames.dtype == np.uint8
    assert np.array_equal(clip.frames[:2], expected)


def test_fast_is_close_to_exact(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    path = tmp_path / "smooth.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.height, stream.width, stream.pix_fmt = 360, 640, "yuv420p"
        smooth = np.asarray(Image.fromarray(noise).resize((640, 360), Image.Resampling.BICUBIC))
        container.mux(stream.encode(av.VideoFrame.from_ndarray(smooth, format="rgb24")))
        container.mux(stream.encode())
    exact = read_video(path, FrameRule()).frames.astype(int)
    fast = read_video(path, FrameRule(), resize="fast").frames.astype(int)
    assert fast.shape == exact.shape == (1, 384, 384, 3)
    assert abs(fast - exact).mean() < 3  # saturated colours; clips of the real world differ by about 1
    assert abs(fast - exact).max() <= 60


@pytest.mark.parametrize("size", [(97, 161), (95, 163), (33, 171)])
def test_odd_sizes(make_video, decode_all, size):
    path = make_video(f"odd{size[0]}.mp4", size=size, pix_fmt="yuv444p", count=10)
    clip = read_video(path, EVERY_FRAME, size=size)
    assert np.array_equal(clip.frames, np.stack(decode_all(path)))


# The top of the picture is dark, the rest bright: where the dark edge is to be after turning it on screen.
@pytest.mark.parametrize("resize", ["exact", "fast"])
@pytest.mark.parametrize(
    ("matrix", "dark_edge"),
    [
        ((1, 0, 0, 1), np.s_[:3]),
        ((0, 1, -1, 0), np.s_[:, -3:]),  # as phones write it for a quarter turn clockwise
        ((-1, 0, 0, -1), np.s_[-3:]),
        ((0, -1, 1, 0), np.s_[:, :3]),
    ],
)
def test_rotation_metadata_is_applied(plain_video, tmp_path, matrix, dark_edge, resize):
    data = bytearray(plain_video.read_bytes())
    field = data.index(b"tkhd") + 44  # ISO 14496-12: the track header's transformation matrix
    a, b, c, d = (value << 16 for value in matrix)
    data[field : field + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path = tmp_path / "rotated.mp4"
    path.write_bytes(data)
    size = (96, 160) if matrix[0] else (160, 96)
    picture = read_video(path, EVERY_FRAME, size=size, resize=resize).frames[0]  # number 0: no white cells
    assert picture[dark_edge].mean() < 30 < 60 < picture.mean()


@pytest.mark.parametrize("colour", [(200, 30, 30), (30, 200, 30), (30, 30, 200)])
def test_bt709_tag_is_obeyed(tmp_path, colour):
    path = tmp_path / "hd.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "1"})
        stream.height, stream.width, stream.pix_fmt = 96, 160, "yuv420p"
        stream.codec_context.colorspace = 1  # BT.709
        frame = av.VideoFrame.from_ndarray(np.full((96, 160, 3), colour, dtype=np.uint8), format="rgb24")
        container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
        container.mux(stream.encode())
    clip = read_video(path, EVERY_FRAME, size=(96, 160))
    assert abs(clip.frames[0].astype(int) - colour).max() <= 4


def test_gif(make_video, read_number):
    clip = read_video(make_video("a.gif", codec="gif", pix_fmt="rgb8", rate=10, count=40), FrameRule(), size=(96, 160))
    assert [read_number(frame) for frame in clip.frames] == [5, 15, 25, 35]


def test_still_picture(tmp_path):
    picture_HWC = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    path = tmp_path / "still.png"
    Image.fromarray(picture_HWC).save(path)
    clip = read_video(path, FrameRule(), size=(40, 60))
    assert np.array_equal(clip.frames[0], picture_HWC)
    assert clip.timestamps_s == [0.0]
