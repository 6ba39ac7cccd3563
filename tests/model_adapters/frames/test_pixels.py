import struct

import av
import numpy as np
import pytest
from PIL import Image

from qsv_eval.model_adapters.frames import FrameRule, read_video

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
