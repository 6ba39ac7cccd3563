"""Overlap of reading and generating in the engine's worker, with a reader and a model that sleep for given times.

    python benchmarks/overlap.py [--units 40]

Each work item is one video with one question. Wall time, with the start of the reader processes and the writing of the
journal, is compared with max(decode / readers, generate). `unlike` cases draw the two times of each item at random.
`at best` is the wall time without any loss: the first decoding and the last generating can never overlap.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from qsv_eval.model_adapters.frames import ClipRequest, FrameRule  # noqa: E402 - found through the line above

SIZE = (384, 384)
FRAMES = 60
LIMIT = 1.1
RULE = FrameRule()


class Times(NamedTuple):
    """Seconds of one work item."""

    decode: float
    generate: float


class Case(NamedTuple):
    """Settings of a run."""

    name: str
    mean: Times
    readers: int = 1
    unlike: bool = False


CASES = (
    Case("decoding takes longer", Times(0.4, 0.25)),
    Case("generating takes longer", Times(0.25, 0.4)),
    Case("equal", Times(0.3, 0.3)),
    Case("equal, unlike", Times(0.3, 0.3), unlike=True),
    Case("two readers", Times(0.6, 0.3), readers=2),
    Case("two readers, unlike", Times(0.6, 0.3), readers=2, unlike=True),
)


# ---- in the reader process


def serve() -> None:
    """Run the engine's reader process with a reader that sleeps."""
    from qsv_eval.model_adapters.frames import subprocess_worker
    from qsv_eval.model_adapters.frames.decoded_frames import DecodedFrames, FrameSelection
    from qsv_eval.model_adapters.frames.read_job import ReadJob, ReadResult, ReadSettings

    def sleeping_read(job: ReadJob, settings: ReadSettings, allocate: Callable[..., np.ndarray]) -> ReadResult:
        started, decode_s = time.perf_counter(), float(Path(job.path).name)
        frames_THWC = allocate((FRAMES, *settings.size, 3))
        frames_THWC[:] = 127
        time.sleep(max(0.0, decode_s - (time.perf_counter() - started)))
        times_s = [float(second) for second in range(FRAMES)]
        views = [FrameSelection(list(range(FRAMES)), times_s, float(FRAMES)) for _ in job.requests]
        return ReadResult(DecodedFrames(frames_THWC, times_s, views, 30.0, 0), None, decode_s)

    subprocess_worker.run_read_job = sleeping_read
    subprocess_worker.main()


# ---- in the main process


class Outcome(NamedTuple):
    """Seconds of one run."""

    wall_s: float
    total: Times
    best_s: float
    """Wall time without any loss."""


def run(case: Case, items: int) -> Outcome:
    """Measure the engine's worker on work items."""
    from qsv_eval.model_adapters.engine import worker
    from qsv_eval.model_adapters.engine.inference import Generated
    from qsv_eval.model_adapters.engine.journal import Journal
    from qsv_eval.model_adapters.engine.metrics import Efficiency
    from qsv_eval.model_adapters.engine.records import ExitReason
    from qsv_eval.model_adapters.frames import subprocess_reader
    from qsv_eval.model_adapters.frames.read_job import ReadSettings
    from qsv_eval.model_adapters.quicksviewer.chat import Reply

    times = draw(case, items)
    reply = Reply("A", [1], "", [[]], [[]], [0], 1, 0)

    class SleepingEncoder:
        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def encode_file(self, _: Any, result: Any) -> None:
            assert result.error is None, result.error
            assert result.footage.frames.shape == (FRAMES, *SIZE, 3)

    class SleepingRunner:
        def __init__(self, _: Any, item: Any, requests: Any, *__: Any) -> None:
            self.requests = requests

        def prepare(self, batch: Any) -> None:
            pass

        def answer(self, batch: Any) -> dict[str, Generated]:
            time.sleep(times[int(batch[0].key)].generate)
            return {request.key: Generated(self.requests[request.key], reply) for request in batch}

    subprocess_reader._WORKER = Path(__file__).stem
    worker.MediaEncoder, worker.WorkItemRunner = SleepingEncoder, SleepingRunner  # type: ignore[misc, assignment]
    options = worker.EngineOptions(readers=case.readers, reading=ReadSettings(SIZE), show_progress=False)
    model: Any = SimpleNamespace(model=SimpleNamespace(device=SimpleNamespace(type="cpu")))
    with tempfile.TemporaryDirectory() as folder:
        # No harness: it is needed only for images in memory and for tasks of several rounds.
        engine_worker = worker.Worker(model, Journal(folder), None, options, Efficiency())  # type: ignore[arg-type]
        planned, requests = plan(times)
        started = time.perf_counter()
        records = engine_worker.work(planned, requests)
        wall_s = time.perf_counter() - started
        engine_worker.journal.end(ExitReason.DONE)
    assert len(records) == items
    return Outcome(wall_s, Times(*map(sum, zip(*times, strict=True))), at_best(times, case.readers))


def at_best(times: Sequence[Times], readers: int) -> float:
    """Return the wall time if each item is read by the first free reader and answered in order without any loss."""
    free_s, done_s = [0.0] * readers, 0.0
    for item in times:
        free_s.sort()
        free_s[0] += item.decode
        done_s = max(done_s, free_s[0]) + item.generate
    return done_s


def draw(case: Case, items: int) -> list[Times]:
    """Return the times of each item; unlike ones vary by a factor of about ten."""
    if not case.unlike:
        return [case.mean] * items
    factors = np.random.default_rng(0).lognormal(0.0, 0.6, (items, 2))
    factors /= factors.mean(0)
    return [Times(*(float(mean * factor) for mean, factor in zip(case.mean, row, strict=True))) for row in factors]


def plan(times: Sequence[Times]) -> tuple[list[Any], dict[str, Any]]:
    """Return a work item and a request for each pair of times."""
    from qsv_eval.model_adapters.cubing import CubeRule
    from qsv_eval.model_adapters.engine.request import GenerationSettings, Request
    from qsv_eval.model_adapters.engine.scheduler import FileRead, PlannedMedia, PlannedRequest, WorkItem

    items, requests = [], {}
    for index, item in enumerate(times):
        key, path = str(index), f"{index}/{item.decode}"
        media = (PlannedMedia("video", key, path),)
        planned = PlannedRequest(key, "overlap", (index,), media, RULE, CubeRule(), "greedy")
        items.append(WorkItem(((planned,),), (FileRead(path, key, (ClipRequest(RULE),), FRAMES),)))
        requests[key] = Request("overlap", index, "test", 0, key, [], GenerationSettings(), RULE)
    return items, requests


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=40, help="number of work items per case (default: 40)")
    items = parser.parse_args().units
    print(f"{items} work items; wall seconds against max(decode / readers, generate), limit {LIMIT}\n")
    print("| case | readers | decode s | generate s | at best s | wall s | ratio | one after the other |")
    print("|--|--:|--:|--:|--:|--:|--:|--:|")
    for case in CASES:
        wall_s, total, best_s = run(case, items)
        bound_s = max(total.decode / case.readers, total.generate)
        print(
            f"| {case.name} | {case.readers} | {total.decode:.1f} | {total.generate:.1f} | {best_s:.1f} | {wall_s:.1f} "
            f"| {wall_s / bound_s:.2f} | {sum(total) / bound_s:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].isdigit():  # the command by which the engine starts its readers
        serve()
    else:
        main()
