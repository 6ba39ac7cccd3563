"""Which codec the frame store packs frames with: bytes and milliseconds of many, losslessly, on several kinds of video.

    python benchmarks/frame_store.py [VIDEO ...]

Frames are as the model sees them: 384 x 384 RGB, a second apart (a quarter of one in clips under 24 s). The videos are
two of benchmarks/videos.py, a drawn one, and whatever is named. Milliseconds are of the processor, one thread, for
each frame, the best of three rounds, median over the videos. "ours" is qsv_eval.model_adapters.frames.store_format; the
other differences are written as plainly as can be, and would take half the time with the same care.
"""

import io
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import zstandard
from PIL import Image, ImageDraw
from videos import FPS, VideoSpec, ensure

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from qsv_eval.model_adapters.frames import FrameRule, probe_video, read_video
from qsv_eval.model_adapters.frames.store_format import pack, unpack

FRAMES = 24


class Codec(NamedTuple):
    """Packs frames uint8 (T, H, W, 3), and fills an array with them again."""

    name: str
    pack: Callable[[np.ndarray], list[bytes]]
    unpack: Callable[[list[bytes], np.ndarray], None]


def of_bytes(name: str, squeeze: Callable[[bytes], bytes], expand: Callable[[bytes], bytes]) -> Codec:
    def back(packed: list[bytes], out_THWC: np.ndarray) -> None:
        for data, frame_HWC in zip(packed, out_THWC, strict=True):
            frame_HWC.reshape(-1)[:] = np.frombuffer(expand(data), np.uint8)

    return Codec(name, lambda frames_THWC: [squeeze(frame.tobytes()) for frame in frames_THWC], back)


def of_differences(name: str, axes: tuple[int, ...], level: int, between_frames: bool = False) -> Codec:
    """Green out of red and blue, differences along axes of (H, W, 3), perhaps after those from frame to frame; zstd."""

    def there(frames_THWC: np.ndarray) -> list[bytes]:
        residual = frames_THWC.copy()
        residual[..., ::2] -= frames_THWC[..., 1:2]
        if between_frames:
            residual[1:] -= residual[:-1].copy()
        for axis in axes:
            residual = np.diff(residual, axis=axis + 1, prepend=np.uint8(0))
        return [zstandard.compress(frame.tobytes(), level) for frame in residual]

    def back(packed: list[bytes], out_THWC: np.ndarray) -> None:
        for data, frame_HWC in zip(packed, out_THWC, strict=True):
            frame_HWC.reshape(-1)[:] = np.frombuffer(zstandard.decompress(data), np.uint8)
            for axis in axes:
                np.add.accumulate(frame_HWC, axis=axis, dtype=np.uint8, out=frame_HWC)
        if between_frames:
            for before_HWC, frame_HWC in pairwise(out_THWC):
                frame_HWC += before_HWC
        out_THWC[..., ::2] += out_THWC[..., 1:2]

    return Codec(name, there, back)


def of_pillow(name: str, kind: str, **options: object) -> Codec:
    def there(frames_THWC: np.ndarray) -> list[bytes]:
        files = [io.BytesIO() for _ in frames_THWC]
        for file, frame in zip(files, frames_THWC, strict=True):
            Image.fromarray(frame).save(file, kind, **options)
        return [file.getvalue() for file in files]

    def back(packed: list[bytes], out_THWC: np.ndarray) -> None:
        for data, frame_HWC in zip(packed, out_THWC, strict=True):
            frame_HWC[:] = Image.open(io.BytesIO(data))

    return Codec(name, there, back)


def of_ffmpeg(name: str, codec: str, pix_fmt: str, **options: str) -> Codec:
    def there(frames_THWC: np.ndarray) -> list[bytes]:
        file = io.BytesIO()
        with av.open(file, "w", format="avi") as container:
            stream = container.add_stream(codec, rate=1, options=options)
            stream.height, stream.width, stream.pix_fmt = *frames_THWC.shape[1:3], pix_fmt
            stream.thread_count = 1
            for frame in frames_THWC:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame).reformat(format=pix_fmt)))
            container.mux(stream.encode())
        return [file.getvalue()]

    def back(packed: list[bytes], out_THWC: np.ndarray) -> None:
        with av.open(io.BytesIO(packed[0])) as container:
            container.streams.video[0].thread_count = 1
            for frame, frame_HWC in zip(container.decode(video=0), out_THWC, strict=True):
                frame_HWC[:] = frame.to_ndarray(format="rgb24")

    return Codec(name, there, back)


CODECS = (
    Codec("ours: row above, zstd 1", lambda frames_THWC: list(pack(frames_THWC)), unpack),
    of_bytes("raw", bytes, bytes),
    of_bytes("zlib 1", lambda data: zlib.compress(data, 1), zlib.decompress),
    of_bytes("zstd 1", lambda data: zstandard.compress(data, 1), zstandard.decompress),
    of_differences("frame before, zstd 1", (), 1, between_frames=True),
    of_differences("pixel to the left, zstd 1", (1,), 1),
    of_differences("row above, zstd 3", (0,), 3),
    of_differences("row above and pixel to the left, zstd 1", (0, 1), 1),
    of_differences("frame before, row above, left, zstd 1", (0, 1), 1, between_frames=True),
    of_pillow("PNG 1", "PNG", compress_level=1),
    of_pillow("PNG 6", "PNG", compress_level=6),
    of_pillow("WebP, method 0", "WEBP", lossless=True, method=0, quality=0),
    of_pillow("WebP, method 2", "WEBP", lossless=True, method=2, quality=30),
    of_ffmpeg("UtVideo, left", "utvideo", "gbrp", pred="left"),
    of_ffmpeg("UtVideo, median", "utvideo", "gbrp", pred="median"),
    of_ffmpeg("HuffYUV", "huffyuv", "rgb24", pred="left"),
    of_ffmpeg("FFV1", "ffv1", "bgr0", level="3", coder="0", context="0"),
    of_ffmpeg("x264rgb, qp 0, ultrafast", "libx264rgb", "rgb24", qp="0", preset="ultrafast"),
)


def draw_slides(path: Path) -> Path:
    """Draw a lecture: flat colours, sharp text, a new slide every three seconds."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for number in range(FRAMES * FPS):
            image = Image.new("RGB", (640, 360), (240, 240, 230))
            draw = ImageDraw.Draw(image)
            draw.rectangle((50, 100, 150 + number // 2 % 90, 200), fill=(200, 30, 30))
            draw.text((200, 220), f"Slide {number // 90}\n" + "and what it says\n" * 3, fill="black", font_size=24)
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())
    return path


def frames_of(path: Path) -> np.ndarray:
    """Read a frame of each of the first seconds; of a shorter clip, more of each second."""
    rate = 1.0 if probe_video(path).duration_s >= FRAMES else 4.0
    return read_video(path, FrameRule(fps=rate), end_s=FRAMES / rate).frames


def milliseconds(work: Callable[[], object], frames: int) -> float:
    """Of the processor for each frame, in the best of three rounds."""
    best_s = float("inf")
    for _ in range(3):
        started_s = time.process_time()
        work()
        best_s = min(best_s, time.process_time() - started_s)
    return best_s * 1000 / frames


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = {
            "360p": ensure(VideoSpec(3, 640, 360, 2)),
            "720p": ensure(VideoSpec(2, 1280, 720, 2)),
            "slides": draw_slides(Path(folder) / "slides.mp4"),
            **{Path(name).stem: Path(name) for name in sys.argv[1:]},
        }
        clips = {name: frames_of(path) for name, path in paths.items()}
    print(f"| codec, share of the bytes | {' | '.join(clips)} | pack ms | unpack ms |\n|--|{'--:|' * (len(clips) + 2)}")
    for codec in CODECS:
        shares, pack_ms, unpack_ms = [], [], []
        for frames_THWC in clips.values():
            packed, out_THWC = codec.pack(frames_THWC), np.zeros_like(frames_THWC)
            pack_ms.append(milliseconds(lambda: codec.pack(frames_THWC), len(frames_THWC)))  # noqa: B023
            unpack_ms.append(milliseconds(lambda: codec.unpack(packed, out_THWC), len(frames_THWC)))  # noqa: B023
            assert np.array_equal(out_THWC, frames_THWC), codec.name
            shares.append(sum(map(len, packed)) / frames_THWC.nbytes)
        medians = f"{statistics.median(pack_ms):.1f} | {statistics.median(unpack_ms):.2f}"
        print(f"| {codec.name} | {' | '.join(f'{share:.2f}' for share in shares)} | {medians} |", flush=True)


if __name__ == "__main__":
    main()
