"""Core-seconds and peak memory of reading frames, against other ways to the same frames.

    python benchmarks/frames.py            # all tables, about ten minutes
    python benchmarks/frames.py 1 2        # the first and the second, which have the shortest videos

The videos are made on first use (benchmarks/videos.py). decord and FFmpeg's command line (PyPI: imageio-ffmpeg) take
part if they are installed. Every reading has a process of its own, so that its peak memory is its own; imports are in
the memory and not in the time. Readings of different readers take turns. "plain_plan" is the best exact strategy that
was found before this reader was written, in its simplest form. All but `ours_fast` must give the same bytes.
"""

import argparse
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from frame_readers import (
    Job,
    decord,
    ffmpeg_seek,
    ffmpeg_select,
    missing,
    opencv,
    ours,
    ours_fast,
    plain_plan,
    sequential,
    store_again,
    store_first,
)
from videos import FPS, HOUR, VideoSpec, ensure

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from qsv_eval.model_adapters.frames import FrameRule
from qsv_eval.model_adapters.frames.packet_index import index_packets

Reader = Callable[[Job], np.ndarray]
ALWAYS: tuple[Reader, ...] = (ours, ours_fast, store_first, store_again, plain_plan)
# What decodes the whole file anyway is not run twice on the hour.
SPARSE: tuple[Reader, ...] = (*ALWAYS, sequential, opencv, decord, ffmpeg_seek)
DENSE: tuple[Reader, ...] = (*ALWAYS, sequential, opencv, decord, ffmpeg_select)
CASES: tuple[tuple[VideoSpec, int, tuple[Reader, ...]], ...] = (
    (VideoSpec(3, 640, 360, 2), 32, SPARSE),
    (VideoSpec(2, 1280, 720, 2), 32, SPARSE),
    (VideoSpec(9, 640, 360, 10), 32, SPARSE),
    (VideoSpec(9, 640, 360, 10), 420, DENSE),
    (HOUR, 32, SPARSE),
    (HOUR, 420, (ours, store_first, store_again, plain_plan, decord)),
)
RUNS = 3
LONG_S = 8.0
"""A reader that takes longer than this runs once."""


class Cost(NamedTuple):
    """Of one reading."""

    core_s: float
    """Processor seconds, those of child processes included."""
    elapsed_s: float
    peak_mb: float
    """Of the process itself."""
    checksums: list[int]
    """Of each frame."""


def core_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def peak_mb() -> float:
    """Of this program since it was started; what getrusage says begins with the size of the process that forked it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(reader: Reader, job: Job) -> Cost:
    started_s, started_core_s = time.perf_counter(), core_seconds()
    frames_THWC = reader(job)
    core_s, elapsed_s = core_seconds() - started_core_s, time.perf_counter() - started_s
    return Cost(core_s, elapsed_s, peak_mb(), [zlib.crc32(frame.tobytes()) for frame in frames_THWC])


def in_a_process(reader: Reader, job: Job) -> Cost:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (reader, job))


def readings(readers: tuple[Reader, ...], job: Job) -> dict[Reader, list[Cost]]:
    costs: dict[Reader, list[Cost]] = {reader: [] for reader in readers if not missing(reader)}
    for _ in range(RUNS):
        for reader, before in costs.items():
            if not before or before[0].elapsed_s < LONG_S or reader in ALWAYS:
                before.append(in_a_process(reader, job))
    return costs


def rows(readers: tuple[Reader, ...], job: Job) -> Iterator[str]:
    costs = readings(readers, job)
    base, right = statistics.median(cost.core_s for cost in costs[ours]), costs[ours][0].checksums
    for reader in readers:
        if why := missing(reader):
            yield f"| {reader.__name__} | {why} | | | | | |"
            continue
        core_s, elapsed_s, peak = (
            statistics.median(getattr(cost, name) for cost in costs[reader])
            for name in ("core_s", "elapsed_s", "peak_mb")
        )
        same = min(sum(map(int.__eq__, cost.checksums, right)) for cost in costs[reader])
        yield (
            f"| {reader.__name__} | {len(costs[reader])} | {core_s:.2f} | {core_s / base:.2f} | {elapsed_s:.2f} "
            f"| {peak:.0f} | {same} of {len(right)} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", nargs="*", type=int, default=range(1, len(CASES) + 1))
    for spec, max_frames, readers in (CASES[case - 1] for case in parser.parse_args().cases):
        path, rule = ensure(spec), FrameRule(max_frames=max_frames)
        indices = rule.indices(FPS, index_packets(path).frame_count)
        with tempfile.TemporaryDirectory() as folder:
            job = Job(path, rule, indices, FPS, spec.width, spec.height, Path(folder) / "store")
            print(f"\n### {spec.minutes} min, {spec.height}p ({path.stat().st_size / 1e6:.0f} MB), N = {max_frames}\n")
            print("| reader | runs | core-s | to ours | elapsed s | peak MB | frames as ours |")
            print("|--|--:|--:|--:|--:|--:|--:|", flush=True)
            for row in rows(readers, job):
                print(row, flush=True)
            kept = sum(file.stat().st_size for file in job.store.glob("*/*"))
            raw = len(indices) * 384 * 384 * 3
            print(f"\nThe store holds {kept / 1e6:.0f} MB, {kept / raw:.2f} of the frames' bytes.")


if __name__ == "__main__":
    main()
