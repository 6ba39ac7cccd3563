"""Videos for the benchmarks: twelve from one to ten minutes long, 360p to 720p, and one of an hour.

    python benchmarks/videos.py

They are made on first use and kept in the temporary folder. Each has pictures of its own: scenes of 1.5 to 8 seconds
that pan over a texture, shapes that move across them, and grain. A base of 20 seconds is drawn from a seed and
encoded; the rest of the length is that base again and again by stream copy, which takes no time. The base is 607
frames long, which shares no factor with the 30 frames of a second: of frames one second apart no two are the same
picture within 10 minutes, so that no gate sees exact ties. Only every 250th frame is a keyframe, cuts or not: seeking
gains little here.
"""

import os
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from PIL import Image

__all__ = ["FPS", "HOUR", "VIDEOS", "VideoSpec", "ensure", "folder", "hour_video", "videos"]

FPS = 30
BASE_FRAMES = 607
ENCODER = {"preset": "veryfast", "crf": "23", "g": "250", "bf": "3", "sc_threshold": "0"}


class VideoSpec(NamedTuple):
    """What a video is made from."""

    seed: int
    width: int
    height: int
    minutes: int

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.minutes:02d}min_{self.height}p_seed{self.seed}.mp4"

    @property
    def frames(self) -> int:
        """Pictures in the whole video, but for up to four at its end."""
        return self.minutes * 60 * FPS


_SIZES = ((640, 360), (854, 480), (1280, 720))
_MINUTES = (1, 2, 3, 1, 4, 2, 5, 3, 8, 10, 6, 10)
VIDEOS = tuple(VideoSpec(seed, *_SIZES[seed % 3], minutes) for seed, minutes in enumerate(_MINUTES))
"""Four of each size; 55 minutes together."""
HOUR = VideoSpec(100, 640, 360, 60)


def folder() -> Path:
    """Return where the videos are kept."""
    return Path(tempfile.gettempdir()) / "qsv_eval_benchmark_videos"


def videos(count: int | None = None) -> list[Path]:
    """Return the first `count` videos, making those that are not there."""
    return [ensure(spec) for spec in VIDEOS[:count]]


def hour_video() -> Path:
    """Return an hour of 360p."""
    return ensure(HOUR)


def ensure(spec: VideoSpec) -> Path:
    """Return the video's file, making it if it is not there."""
    path = folder() / spec.name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        base = path.with_suffix(f".{os.getpid()}.base.mp4")
        unfinished = path.with_suffix(f".{os.getpid()}.part")
        _encode(base, spec)
        _loop(base, unfinished, spec.frames)
        base.unlink()
        unfinished.rename(path)
    return path


class _Scene:
    """Pictures of one cut: a texture that the camera pans over, and shapes that move on it."""

    def __init__(self, rng: np.random.Generator, width: int, height: int) -> None:
        self._width, self._height = width, height
        blocks = rng.integers(0, 256, (int(rng.integers(6, 14)), int(rng.integers(10, 24)), 3), dtype=np.uint8)
        texture = Image.fromarray(blocks).resize((width * 2, height * 2), Image.Resampling.BICUBIC)
        self._texture_HWC = np.asarray(texture) // 2 + rng.integers(20, 90, 3, dtype=np.uint8)
        self._phase, self._speed = rng.uniform(0, 6.28, 2), rng.uniform(0.002, 0.03, 2)
        self._shapes = [
            (rng.integers(height // 12, height // 4, 2), rng.uniform(0, 1, 2), rng.uniform(-0.012, 0.012, 2), color)
            for color in rng.integers(0, 256, (4, 3), dtype=np.uint8)
        ]

    def picture(self, number: int) -> np.ndarray:
        """Draw the scene's frame, uint8 (H, W, 3)."""
        swing = (np.sin(self._phase + number * self._speed) + 1) / 2
        x, y = (swing * (self._width - 1, self._height - 1)).astype(int)
        picture_HWC = self._texture_HWC[y : y + self._height, x : x + self._width].copy()
        for (height, width), place, speed, color in self._shapes:
            across, down = (place + number * speed) % 1
            left, top = int(across * (self._width - width)), int(down * (self._height - height))
            picture_HWC[top : top + height, left : left + width] = color
        return picture_HWC


def _encode(path: Path, spec: VideoSpec) -> None:
    rng = np.random.default_rng(spec.seed)
    side = spec.height + 64, spec.width + 64
    grain_HW = rng.integers(0, 14, side, dtype=np.uint8)[..., None]
    with av.open(path, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options=ENCODER)
        stream.width, stream.height, stream.pix_fmt = spec.width, spec.height, "yuv420p"
        scene, until = _Scene(rng, spec.width, spec.height), int(rng.integers(45, 240))
        for number in range(BASE_FRAMES):
            if number == until:
                scene, until = _Scene(rng, spec.width, spec.height), number + int(rng.integers(45, 240))
            top, left = rng.integers(0, 64, 2)
            picture_HWC = scene.picture(number) + grain_HW[top : top + spec.height, left : left + spec.width]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture_HWC, format="rgb24")))
        container.mux(stream.encode())


def _loop(base: Path, path: Path, frames: int) -> None:
    """Write the base's packets over and over, each round later by the base's length, until there are `frames`.

    B-frames come behind the frame that they lead up to, so where packets are simply cut off, pictures before the last
    one are missing. It ends with the last packet at which none is, a few pictures early.
    """
    with av.open(base) as source:
        stream = source.streams.video[0]
        packets = [packet for packet in source.demux(stream) if packet.size]
        tick: Fraction = stream.time_base  # type: ignore[assignment]
        round_ticks = int(len(packets) / (FPS * tick))
        with av.open(path, "w", format="mp4") as target:
            output = target.add_stream_from_template(stream)
            places = [round(packet.pts * tick * FPS) for packet in packets]
            for number in range(_whole(places, frames)):
                packet = packets[number % len(packets)]
                if number >= len(packets):
                    packet.pts, packet.dts = packet.pts + round_ticks, packet.dts + round_ticks
                packet.stream = output
                target.mux(packet)


def _whole(places: list[int], frames: int) -> int:
    """Return the most packets, up to `frames`, that hold all pictures from the first to the last of theirs."""
    whole, last = 0, -1
    for number in range(frames):
        rounds, packet = divmod(number, len(places))
        last = max(last, rounds * len(places) + places[packet])
        if last == number:
            whole = number + 1
    return whole


def main() -> None:
    started = time.perf_counter()
    print("| video | frames | MB | Mbit/s |\n|--|--:|--:|--:|")
    for spec in (*VIDEOS, HOUR):
        size = ensure(spec).stat().st_size
        print(f"| {spec.name} | {spec.frames} | {size / 1e6:.0f} | {size * 8e-6 / spec.minutes / 60:.2f} |", flush=True)
    print(f"\n{time.perf_counter() - started:.0f} s, in {folder()}")


if __name__ == "__main__":
    main()
