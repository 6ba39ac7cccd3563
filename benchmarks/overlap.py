"""How well reading hides behind answering: the engine's own worker, with a reader and a model that take set times.

    python benchmarks/overlap.py [--units 40]

Everything is the engine's but for two things: the reader process sleeps instead of decoding and then gives frames of
the real size, and the model sleeps instead of looking and generating. Each unit is one video with one question, and
every answer goes through the journal to the disk. Wall time, the start of the reader processes included, is set against
the larger of all decoding, divided by the readers, and all generating. The first decoding and the last generating can
never overlap, and `unlike` ones, whose two times are drawn anew for each unit with the same means, leave gaps whoever
does it: `at best` is what they would take without the start and without any loss.
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
    """Seconds of one unit."""

    decode: float
    generate: float


class Case(NamedTuple):
    """A kind of run."""

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
    """Be the engine's reader process, but for what it reads with."""
    from qsv_eval.model_adapters.frames import subprocess_worker
    from qsv_eval.model_adapters.frames.decoded_frames import DecodedFrames, FrameSelection
    from qsv_eval.model_adapters.frames.read_job import ReadJob, ReadResult, ReadSettings

    def sleep_instead(job: ReadJob, settings: ReadSettings, allocate: Callable[..., np.ndarray]) -> ReadResult:
        started, decode_s = time.perf_counter(), float(Path(job.path).name)
        frames_THWC = allocate((FRAMES, *settings.size, 3))
        frames_THWC[:] = 127
        time.sleep(max(0.0, decode_s - (time.perf_counter() - started)))
        times_s = [float(second) for second in range(FRAMES)]
        views = [FrameSelection(list(range(FRAMES)), times_s, float(FRAMES)) for _ in job.requests]
        return ReadResult(DecodedFrames(frames_THWC, times_s, views, 30.0, 0), None, decode_s)

    subprocess_worker.run_read_job = sleep_instead
    subprocess_worker.main()


# ---- around it


class Outcome(NamedTuple):
    """Of one run, in seconds."""

    wall: float
    set: Times
    best: float
    """What the set times take if nothing is lost, in this order."""


def run(case: Case, units: int) -> Outcome:
    """Let the engine's worker answer so many units."""
    from qsv_eval.model_adapters.engine import worker
    from qsv_eval.model_adapters.engine.inference import Generated
    from qsv_eval.model_adapters.engine.journal import Journal
    from qsv_eval.model_adapters.engine.metrics import Efficiency
    from qsv_eval.model_adapters.engine.records import ExitReason
    from qsv_eval.model_adapters.frames import subprocess_reader
    from qsv_eval.model_adapters.frames.read_job import ReadSettings
    from qsv_eval.model_adapters.quicksviewer.chat import Reply

    times = draw(case, units)
    reply = Reply("A", [1], "", [[]], [[]], [0], 1, 0)

    class SleepingScene:
        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def encode_file(self, _: Any, result: Any) -> None:
            assert result.error is None, result.error
            assert result.footage.frames.shape == (FRAMES, *SIZE, 3)

    class SleepingWork:
        def __init__(self, _: Any, unit: Any, questions: Any, *__: Any) -> None:
            self.questions = questions

        def prepare(self, batch: Any) -> None:
            pass

        def answer(self, batch: Any) -> dict[str, Generated]:
            time.sleep(times[int(batch[0].key)].generate)
            return {asked.key: Generated(self.questions[asked.key], reply) for asked in batch}

    subprocess_reader._WORKER = Path(__file__).stem
    worker.MediaEncoder, worker.WorkItemRunner = SleepingScene, SleepingWork  # type: ignore[misc, assignment]
    options = worker.EngineOptions(readers=case.readers, reading=ReadSettings(SIZE), show_progress=False)
    model: Any = SimpleNamespace(model=SimpleNamespace(device=SimpleNamespace(type="cpu")))
    with tempfile.TemporaryDirectory() as folder:
        # None: only images in memory and further rounds need the harness.
        running = worker.Worker(model, Journal(folder), None, options, Efficiency())  # type: ignore[arg-type]
        planned, questions = plan(times)
        started = time.perf_counter()
        records = running.work(planned, questions)
        wall_s = time.perf_counter() - started
        running.journal.end(ExitReason.DONE)
    assert len(records) == units
    return Outcome(wall_s, Times(*map(sum, zip(*times, strict=True))), at_best(times, case.readers))


def at_best(times: Sequence[Times], readers: int) -> float:
    """Return when the last unit is done if each is read by the first free reader and answered in its turn."""
    free_s, done_s = [0.0] * readers, 0.0
    for unit in times:
        free_s.sort()
        free_s[0] += unit.decode
        done_s = max(done_s, free_s[0]) + unit.generate
    return done_s


def draw(case: Case, units: int) -> list[Times]:
    """Return each unit's times; unlike ones are spread over a factor of about ten."""
    if not case.unlike:
        return [case.mean] * units
    factors = np.random.default_rng(0).lognormal(0.0, 0.6, (units, 2))
    factors /= factors.mean(0)
    return [Times(*(float(mean * factor) for mean, factor in zip(case.mean, row, strict=True))) for row in factors]


def plan(times: Sequence[Times]) -> tuple[list[Any], dict[str, Any]]:
    """Return a unit and a question for each pair of times."""
    from qsv_eval.model_adapters.engine.request import GenerationSettings, Request
    from qsv_eval.model_adapters.engine.scheduler import FileRead, PlannedMedia, PlannedRequest, WorkItem

    units, questions = [], {}
    for number, unit in enumerate(times):
        key, path = str(number), f"{number}/{unit.decode}"
        media = (PlannedMedia("video", key, path),)
        asked = PlannedRequest(key, "overlap", (number,), media, RULE, "greedy")
        units.append(WorkItem(((asked,),), (FileRead(path, key, (ClipRequest(RULE),), FRAMES),)))
        questions[key] = Request("overlap", number, "test", 0, key, [], GenerationSettings(), RULE)
    return units, questions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=40)
    units = parser.parse_args().units
    print(f"{units} units; wall seconds against max(decode / readers, generate), limit {LIMIT}\n")
    print("| case | readers | decode s | generate s | at best s | wall s | ratio | one after the other |")
    print("|--|--:|--:|--:|--:|--:|--:|--:|")
    for case in CASES:
        wall_s, total, best_s = run(case, units)
        bound_s = max(total.decode / case.readers, total.generate)
        print(
            f"| {case.name} | {case.readers} | {total.decode:.1f} | {total.generate:.1f} | {best_s:.1f} | {wall_s:.1f} "
            f"| {wall_s / bound_s:.2f} | {sum(total) / bound_s:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].isdigit():  # as the engine starts its readers
        serve()
    else:
        main()
