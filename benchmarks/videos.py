"""Generated videos for the benchmarks: twelve of one to ten minutes, 360p to 720p, and one of an hour.

    python benchmarks/videos.py

They are made on first use and kept in the temporary folder. About 20 seconds of moving scenes with grain are drawn from
a seed, encoded, and repeated by stream copy. As 607 frames have no common factor with 30 frames per second, frames one
second apart never repeat within 10 minutes, and the gate sees no exact ties. Every 250th frame is a keyframe.
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

FPS = 30
BASE_FRAMES = 607
ENCODER = {"preset": "veryfast", "crf": "23", "g": "250", "bf": "3", "sc_threshold": "0"}


class VideoSpec(NamedTuple):
    """Seed and size of a video."""

    seed: int
    width: int
    height: int
    minutes: int

    @property
    def name(self) -> str:
        """File name."""
        return f"{self.minutes:02d}min_{self.height}p_seed{self.seed}.mp4"

    @property
    def frames(self) -> int:
        """Number of frames, of which up to four at the end may be missing."""
        return self.minutes * 60 * FPS


_SIZES = ((640, 360), (854, 480), (1280, 720))
_MINUTES = (1, 2, 3, 1, 4, 2, 5, 3, 8, 10, 6, 10)
VIDEOS = tuple(VideoSpec(seed, *_SIZES[seed % 3], minutes) for seed, minutes in enumerate(_MINUTES))
"""Four videos of each size, 55 minutes in all."""
HOUR = VideoSpec(100, 640, 360, 60)


def folder() -> Path:
    """Return the folder of the videos."""
    return Path(tempfile.gettempdir()) / "qsv_eval_benchmark_videos"


def videos(count: int | None = None) -> list[Path]:
    """Return the first `count` videos, making missing ones."""
    return [ensure(spec) for spec in VIDEOS[:count]]


def hour_video() -> Path:
    """Return the 360p video of an hour."""
    return ensure(HOUR)


def ensure(spec: VideoSpec) -> Path:
    """Return the video's file, making it if missing."""
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
    """A scene between two cuts: a texture that the camera pans over, and moving shapes."""

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

    def picture(self, index: int) -> np.ndarray:
        """Draw a frame, uint8 (H, W, 3)."""
        swing = (np.sin(self._phase + index * self._speed) + 1) / 2
        x, y = (swing * (self._width - 1, self._height - 1)).astype(int)
        picture_HWC = self._texture_HWC[y : y + self._height, x : x + self._width].copy()
        for (height, width), position, speed, color in self._shapes:
            across, down = (position + index * speed) % 1
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
        for index in range(BASE_FRAMES):
            if index == until:
                scene, until = _Scene(rng, spec.width, spec.height), index + int(rng.integers(45, 240))
            top, left = rng.integers(0, 64, 2)
            picture_HWC = scene.picture(index) + grain_HW[top : top + spec.height, left : left + spec.width]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture_HWC, format="rgb24")))
        container.mux(stream.encode())


def _loop(base: Path, path: Path, frames: int) -> None:
    """Repeat the packets of `base`, up to `frames`.

    Packets are not in display order (B-frames), so the video ends at the last packet without missing frames before it.
    """
    with av.open(base) as source:
        stream = source.streams.video[0]
        packets = [packet for packet in source.demux(stream) if packet.size]
        tick: Fraction = stream.time_base  # type: ignore[assignment]
        round_ticks = int(len(packets) / (FPS * tick))
        with av.open(path, "w", format="mp4") as target:
            output = target.add_stream_from_template(stream)
            display_indices = [round(packet.pts * tick * FPS) for packet in packets]
            for index in range(_complete_packets(display_indices, frames)):
                packet = packets[index % len(packets)]
                if index >= len(packets):
                    packet.pts, packet.dts = packet.pts + round_ticks, packet.dts + round_ticks
                packet.stream = output
                target.mux(packet)


def _complete_packets(display_indices: list[int], frames: int) -> int:
    """Return the largest number of packets, up to `frames`, that hold all frames up to their last one."""
    complete, last = 0, -1
    for index in range(frames):
        rounds, packet = divmod(index, len(display_indices))
        last = max(last, rounds * len(display_indices) + display_indices[packet])
        if last == index:
            complete = index + 1
    return complete


def main() -> None:
    started = time.perf_counter()
    print("| video | frames | MB | Mbit/s |\n|--|--:|--:|--:|")
    for spec in (*VIDEOS, HOUR):
        size = ensure(spec).stat().st_size
        print(f"| {spec.name} | {spec.frames} | {size / 1e6:.0f} | {size * 8e-6 / spec.minutes / 60:.2f} |", flush=True)
    print(f"\n{time.perf_counter() - started:.0f} s, in {folder()}")


if __name__ == "__main__":
    main()
