"""CPU seconds and peak memory of reading frames, against decoding the whole video.

    python benchmarks/frames.py

The first run makes a 10-minute 640 x 360 H.264 video in the temporary folder (about a minute) and keeps it there.
Every reader runs in a process of its own, so that its peak memory is its own; imports are in the memory, not the time.
"""

import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from qsv_eval.model_adapters.frames import FrameRule, read_video

FPS = 30
MINUTES = 10
SIZE = (384, 384)


def make_video(path: Path) -> None:
    """Smooth shapes that drift under grain: motion for the B-frames, noise for the bit rate."""
    rng = np.random.default_rng(0)
    texture_HWC = np.asarray(
        Image.fromarray(rng.integers(0, 256, (24, 40, 3), dtype=np.uint8)).resize((1280, 720), Image.Resampling.BICUBIC)
    )
    grain_HWC = rng.integers(0, 12, (360, 640, 3), dtype=np.uint8)
    unfinished = path.with_suffix(".part")
    with av.open(unfinished, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "g": "250", "bf": "3"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for number in range(FPS * 60 * MINUTES):
            x, y = int(320 + 319 * np.sin(number / 97)), int(180 + 179 * np.sin(number / 61))
            picture_HWC = texture_HWC[y : y + 360, x : x + 640] // 2 + np.roll(grain_HWC, number, axis=1)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture_HWC), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    unfinished.rename(path)


def ours(path: Path, max_frames: int) -> int:
    return len(read_video(path, FrameRule(max_frames=max_frames), SIZE).frames)


def ours_fast(path: Path, max_frames: int) -> int:
    return len(read_video(path, FrameRule(max_frames=max_frames), SIZE, resize="fast").frames)


def sequential(path: Path, max_frames: int) -> int:
    """Decode everything, keep the wanted frames in a list, stack them."""
    wanted = set(FrameRule(max_frames=max_frames).indices(FPS, FPS * 60 * MINUTES))
    kept = []
    with av.open(path) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                image = Image.fromarray(frame.to_ndarray(format="rgb24"))
                kept.append(np.asarray(image.resize(SIZE[::-1], Image.Resampling.BICUBIC)))
    return len(np.stack(kept))


def measure(reader: Callable[[Path, int], int], path: Path, max_frames: int) -> tuple[int, float, float, float]:
    """Frames, CPU seconds, elapsed seconds, peak MB."""
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    count = reader(path, max_frames)
    cpu_s, elapsed_s = time.process_time() - started_cpu_s, time.perf_counter() - started_s
    return count, cpu_s, elapsed_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    path = Path(tempfile.gettempdir()) / f"qsv_eval_benchmark_{MINUTES}min_360p.mp4"
    if not path.exists():
        make_video(path)
    print(f"{path} ({path.stat().st_size / 1e6:.0f} MB)")
    print(f"{'reader':<12} {'N':>4} {'frames':>6} {'CPU s':>7} {'elapsed s':>9} {'peak MB':>8}")
    for max_frames in (32, 420):
        for reader in (ours, ours_fast, sequential):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                count, cpu_s, elapsed_s, peak_mb = pool.apply(measure, (reader, path, max_frames))
            print(f"{reader.__name__:<12} {max_frames:>4} {count:>6} {cpu_s:>7.2f} {elapsed_s:>9.2f} {peak_mb:>8.0f}")


if __name__ == "__main__":
    main()
