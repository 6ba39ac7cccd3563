"""Core-seconds and peak memory of our frame reader against other readers of the same frames.

    python benchmarks/frames.py            # all tables, about ten minutes
    python benchmarks/frames.py 1 2        # the first two tables, which have the shortest videos

Videos are made on first use (benchmarks/videos.py). decord and FFmpeg's command line (PyPI: imageio-ffmpeg) take part
if installed. Every reading runs in a new process, in turns; memory includes imports, time does not. All readers but
`ours_fast` must return the same bytes.
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
# Readers that decode the whole file are run for only one of the two frame counts of the video of an hour.
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
"""A reader of others that takes longer than this runs once."""


class Cost(NamedTuple):
    """Cost and result of one reading."""

    core_s: float
    """CPU seconds, child processes included."""
    elapsed_s: float
    peak_mb: float
    """Peak memory of the process, without its children."""
    checksums: list[int]
    """CRC-32 of each frame."""


def core_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_mb() -> float:
    """Return the peak memory of this process; getrusage's would include that of the process that forked it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(reader: Reader, job: Job) -> Cost:
    started_s, started_core_s = time.perf_counter(), core_seconds()
    frames_THWC = reader(job)
    core_s, elapsed_s = core_seconds() - started_core_s, time.perf_counter() - started_s
    return Cost(core_s, elapsed_s, peak_mb(), [zlib.crc32(frame.tobytes()) for frame in frames_THWC])


def measure_in_process(reader: Reader, job: Job) -> Cost:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (reader, job))


def readings(readers: tuple[Reader, ...], job: Job) -> dict[Reader, list[Cost]]:
    costs: dict[Reader, list[Cost]] = {reader: [] for reader in readers if not missing(reader)}
    for _ in range(RUNS):
        for reader, measured in costs.items():
            if not measured or measured[0].elapsed_s < LONG_S or reader in ALWAYS:
                measured.append(measure_in_process(reader, job))
    return costs


def rows(readers: tuple[Reader, ...], job: Job) -> Iterator[str]:
    costs = readings(readers, job)
    base, expected = statistics.median(cost.core_s for cost in costs[ours]), costs[ours][0].checksums
    for reader in readers:
        if reason := missing(reader):
            yield f"| {reader.__name__} | {reason} | | | | | |"
            continue
        core_s, elapsed_s, peak = (
            statistics.median(getattr(cost, name) for cost in costs[reader])
            for name in ("core_s", "elapsed_s", "peak_mb")
        )
        same = min(sum(map(int.__eq__, cost.checksums, expected)) for cost in costs[reader])
        yield (
            f"| {reader.__name__} | {len(costs[reader])} | {core_s:.2f} | {core_s / base:.2f} | {elapsed_s:.2f} "
            f"| {peak:.0f} | {same} of {len(expected)} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "cases", nargs="*", type=int, default=range(1, len(CASES) + 1), help=f"tables, 1 to {len(CASES)} (default: all)"
    )
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
            print(f"\nThe frame store takes {kept / 1e6:.0f} MB, {kept / raw:.2f} of the frames' raw bytes.")


if __name__ == "__main__":
    main()
