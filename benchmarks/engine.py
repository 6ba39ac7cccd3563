"""Time and memory of the engine against naive_pipeline.py, on 12 videos of 1 to 10 minutes with 3 questions each.

    python benchmarks/engine.py [--runs 3] [--videos 12] [--lean] [--processes 1 2 4] [--hour]

Both sides answer the same questions with the same weights in float32, in a process each, in turns: 1 fps, at most 420
frames, greedy, 16 new tokens. Times include the start of reader processes, but not imports and loading. Peak memory is
sampled ten times a second over all processes of a side, shared memory counted once; `above start` subtracts the memory
after loading the model.
"""

import argparse
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

BATCH_SIZE = int(os.environ.get("BENCHMARK_BATCH_SIZE", 1))
NAIVE, LEAN, ENGINE = "naive", "lean", "engine"


class Question(NamedTuple):
    """A question on a video file."""

    index: int
    path: str
    text: str


@dataclass
class Result:
    """Answers, times and memory of one side."""

    answers: dict[str, str]
    """Answer by the question's index."""
    stages: dict[str, float]
    """Seconds of decode (the engine's runs in the background), vit, perception, llm, wait and other."""
    reads: int
    """Number of times that a video was decoded."""
    gaps: dict[str, float] = field(default_factory=dict)
    """Smallest distance of the two best logits in each answer; only of the naive side."""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    start_mb: float = 0.0
    peak_mb: float = 0.0
    self_mb: float = 0.0
    """Peak memory of the answering process by the kernel (ru_maxrss)."""


def make_questions(videos: int) -> list[Question]:
    """Return the questions on the first `videos` videos; for 0, on the video of an hour."""
    from naive_pipeline import questions_on
    from videos import hour_video
    from videos import videos as make

    paths = make(videos) if videos else [hour_video()]
    texts = [(str(path), text) for video, path in enumerate(paths) for text in questions_on(video)]
    return [Question(index, *entry) for index, entry in enumerate(texts)]


# ---- in the process of a side


def run_naive(questions: Sequence[Question], model: Any, *, lean: bool) -> Result:
    from naive_pipeline import NaivePipeline

    pipeline = NaivePipeline(model, lean=lean)
    replies = [pipeline.answer(Path(question.path), question.text) for question in questions]
    names = ("decode", "vit", "perception", "llm")
    return Result(
        answers={str(question.index): reply.text for question, reply in zip(questions, replies, strict=True)},
        stages={name: sum(getattr(reply.seconds, name) for reply in replies) for name in names},
        reads=len(replies),
        gaps={str(question.index): reply.smallest_gap for question, reply in zip(questions, replies, strict=True)},
    )


def make_engine(model: Any, journal: Path) -> Any:
    """Return the engine with the adapter's default options."""
    from naive_pipeline import CHECKPOINT

    from qsv_eval.model_adapters.engine.cache_key import REPLY_VERSION, AnswerSettings, checkpoint_fingerprint
    from qsv_eval.model_adapters.engine.engine import Engine
    from qsv_eval.model_adapters.engine.journal import Journal
    from qsv_eval.model_adapters.model_args import ModelArgs

    options = ModelArgs.parse({"pretrained": str(CHECKPOINT), "batch_size": BATCH_SIZE}).engine_options(
        model.processor.video_processor.frame_size, show_progress=False
    )
    fingerprint = checkpoint_fingerprint(str(CHECKPOINT))
    rules = model.frame_rule, model.model.config.cube_rule
    settings = AnswerSettings(fingerprint, REPLY_VERSION, "float32", *rules, "pyav", "exact")
    # No harness: it is needed only for images in memory and for tasks of several rounds.
    return Engine(model, Journal(journal), settings, None, options)  # type: ignore[arg-type]


def make_requests(questions: Sequence[Question], rule: Any, task: str = "benchmark") -> list[Any]:
    """Return the questions as requests to the engine."""
    from naive_pipeline import MAX_NEW_TOKENS

    from qsv_eval.model_adapters.engine.request import GenerationSettings, Request

    def messages(path: str, text: str) -> list[dict[str, Any]]:
        return [{"role": "user", "content": [{"type": "video", "video": path}, {"type": "text", "text": text}]}]

    generation = GenerationSettings(max_new_tokens=MAX_NEW_TOKENS)
    return [
        Request(task, index, "test", 0, str(index), messages(path, text), generation, rule)
        for index, path, text in questions
    ]


def run_engine(questions: Sequence[Question], model: Any, journal: Path) -> Result:
    """Answer the questions by the engine."""
    from qsv_eval.model_adapters.engine.records import AnswerStatus, ExitReason

    engine = make_engine(model, journal)
    answers = engine.answer(make_requests(questions, model.frame_rule))
    engine.journal.end(ExitReason.DONE)
    assert all(answer.status is AnswerStatus.ANSWERED for answer in answers), [answer.reason for answer in answers]
    stages = engine.efficiency.stages
    return Result(
        answers={str(question.index): answer.text for question, answer in zip(questions, answers, strict=True)},
        stages={
            "decode": engine.efficiency.read_s,
            "vit": stages["vit"],
            "perception": stages["cubing"],
            "llm": stages["prefill"] + stages["generation"],
            "wait": stages["wait"],
            "other": stages["other"],
        },
        reads=engine.efficiency.reads,
    )


def side(name: str, videos: int, output: Path) -> None:
    """Run one side, and write its result to a file."""
    from naive_pipeline import CHECKPOINT, RULE

    from qsv_eval.model_adapters.quicksviewer import load_pretrained

    rank, world_size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    questions = make_questions(videos)[rank::world_size]
    model = load_pretrained(CHECKPOINT, device="cpu", dtype="float32", frame_rule=RULE)
    if world_size > 1:
        from qsv_eval.model_adapters.engine import distributed

        distributed.join(on_cpu=True)
    start_mb = _held_kb(os.getpid()) / 1024
    started, cpu = time.perf_counter(), _cpu_s()
    if name == ENGINE:
        with tempfile.TemporaryDirectory() as folder:
            result = run_engine(questions, model, Path(os.environ.get("BENCHMARK_JOURNAL", folder)))
    else:
        result = run_naive(questions, model, lean=name == LEAN)
    result.wall_s = time.perf_counter() - started
    _reap()
    result.cpu_s, result.start_mb = _cpu_s() - cpu, start_mb
    result.self_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    output.write_text(json.dumps(asdict(result)))


def _cpu_s() -> float:
    """Return the CPU seconds of this process and of its finished children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _reap() -> None:
    """Wait for the reader processes, so that their CPU seconds are counted."""
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


# ---- in the main process


class MemoryMonitor(threading.Thread):
    """Thread that samples the memory of a process and its descendants."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.peak_kb, self.stop = pid, 0, threading.Event()

    def run(self) -> None:
        """Sample ten times a second until stopped."""
        while not self.stop.wait(0.1):
            self.peak_kb = max(self.peak_kb, sum(map(_held_kb, _family(self.pid))))


def _family(pid: int) -> list[int]:
    children = []
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children += [int(child) for child in tasks.read_text().split()]
        except OSError:
            continue
    return [pid, *(descendant for child in children for descendant in _family(child))]


def _held_kb(pid: int) -> int:
    """Return the memory of a process: private memory, mapped files in full, and its part of shared memory."""
    try:
        rolled, status = (Path(f"/proc/{pid}/{name}").read_text() for name in ("smaps_rollup", "status"))
    except OSError:  # the process has just ended
        return 0
    fields = dict(line.split(":", 1) for line in (rolled.split("\n", 1)[-1] + status).splitlines() if ":" in line)
    return sum(int(fields.get(name, "0").split()[0]) for name in ("Pss_Anon", "Pss_Shmem", "RssFile"))


def run_side(name: str, videos: int, environment: dict[str, str] | None = None) -> Result:
    """Run one side in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "result.json")
        process = _start(name, videos, output, environment or {})
        monitor = MemoryMonitor(process.pid)
        monitor.start()
        if process.wait():
            raise RuntimeError(f"the {name} side failed with exit code {process.returncode}")
        monitor.stop.set()
        result = Result(**json.loads(output.read_text()))
    result.peak_mb = max(monitor.peak_kb / 1024, result.self_mb if name != ENGINE else 0)
    return result


def _start(name: str, videos: int, output: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    command = [sys.executable, __file__, "--side", name, "--videos", str(videos), "--output", str(output)]
    quiet = {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    return subprocess.Popen(command, env=os.environ | quiet | environment)


def run_processes(videos: int, count: int) -> list[Result]:
    """Run the engine with several processes, and return the result of each."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        common = {
            "WORLD_SIZE": str(count),
            "LOCAL_WORLD_SIZE": str(count),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(probe.getsockname()[1]),
            "BENCHMARK_JOURNAL": str(Path(folder, "journal")),
            "ACCELERATE_USE_CPU": "true",
            "OMP_NUM_THREADS": "1",
        }
        probe.close()
        outputs = [Path(folder, f"{rank}.json") for rank in range(count)]
        processes = [
            _start(ENGINE, videos, output, common | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
            for rank, output in enumerate(outputs)
        ]
        statuses = [process.wait() for process in processes]
        if any(statuses):
            raise RuntimeError(f"of {count} processes, one failed; exit codes {statuses}")
        return [Result(**json.loads(output.read_text())) for output in outputs]


def show(results: dict[str, list[Result]], videos: int) -> None:
    """Print the medians of all sides, and their ratios to the engine."""
    others = [name for name in results if name != ENGINE]
    print(f"\n| what | {' | '.join(others)} | engine | {' | '.join(f'{name} / engine' for name in others)} |")
    print("|--|" + "--:|" * (2 * len(others) + 1))

    def row(title: str, of: Any, digits: int = 1) -> None:
        values = {name: statistics.median(map(of, runs)) for name, runs in results.items()}
        shown = [f"{values[name]:.{digits}f}" for name in (*others, ENGINE)]
        ratios = [f"{values[name] / values[ENGINE]:.1f}" if values[ENGINE] >= 0.05 else "" for name in others]
        print(f"| {title} | {' | '.join(shown)} | {' | '.join(ratios)} |")

    row("wall s", lambda result: result.wall_s)
    row("CPU s", lambda result: result.cpu_s)
    for stage in ("decode", "vit", "perception", "llm", "wait", "other"):
        row(f"{stage} s", lambda result, stage=stage: result.stages.get(stage, 0.0))
    row("peak MB", lambda result: result.peak_mb, 0)
    row("peak MB above start", lambda result: result.peak_mb - result.start_mb, 0)
    row("decodes for each video", lambda result: result.reads / videos, 2)
    print("\nwall s of each run: " + "; ".join(f"{n} {[round(r.wall_s, 1) for r in rs]}" for n, rs in results.items()))


def show_answers(naive: Result, engine: Result) -> None:
    """Print how many answers are equal, and which differ although the two best logits were never close."""
    from naive_pipeline import SAFE_GAP

    differing = {index for index, text in naive.answers.items() if engine.answers[index] != text}
    close = {index for index, gap in naive.gaps.items() if gap <= SAFE_GAP}
    print(
        f"\n{len(naive.answers) - len(differing)} of {len(naive.answers)} answers are equal. In {len(close)} the two "
        f"best logits are somewhere within {SAFE_GAP}; different although they are not: "
        f"{sorted(differing - close, key=int) or 'none'}. Smallest distance {min(naive.gaps.values()):.4f}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="runs of each side (default: 3)")
    parser.add_argument("--videos", type=int, default=12, help="number of videos, up to 12 (default: 12)")
    parser.add_argument("--lean", action="store_true", help="add a naive side that resizes each frame when decoded")
    parser.add_argument("--processes", type=int, nargs="*", help="run only the engine, with these numbers of processes")
    parser.add_argument("--hour", action="store_true", help="run only the engine, on a video of an hour")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        side(options.side, options.videos, options.output)
        return
    make_questions(0 if options.hour else options.videos)  # creates missing videos
    if options.hour:
        result = run_side(ENGINE, 0)
        print(f"an hour, 420 frames: {result.wall_s:.1f} s, {result.peak_mb - result.start_mb:.0f} MB above start")
        return
    if options.processes:
        compare_processes(options.videos, options.processes)
        return
    names = [NAIVE, *([LEAN] if options.lean else []), ENGINE]
    results: dict[str, list[Result]] = {name: [] for name in names}
    for run in range(options.runs):
        for name in names:
            results[name].append(run_side(name, options.videos))
            load = os.getloadavg()[1]
            print(
                f"run {run + 1}, {name}: {results[name][-1].wall_s:.1f} s, load {load:.1f}", file=sys.stderr, flush=True
            )
    print(f"{options.videos} videos, {options.videos * 3} questions, median of {options.runs} runs")
    show(results, options.videos)
    for name in names[:-1]:
        show_answers(results[name][0], results[ENGINE][0])


def compare_processes(videos: int, counts: Sequence[int]) -> None:
    """Print reads and equal answers of the engine for several numbers of processes, with requests dealt by index."""
    print("| processes | WORLD_SIZE seen | decodes for each video | answers as with the first |\n|--:|--:|--:|--:|")
    first: dict[str, str] = {}
    for count in counts:
        results = run_processes(videos, count)
        answers = {index: text for result in results for index, text in result.answers.items()}
        first = first or answers
        same = sum(first[index] == text for index, text in answers.items())
        reads = sum(result.reads for result in results) / videos
        print(f"| {count} | {len(results)} | {reads:.2f} | {same} of {len(answers)} |", flush=True)


if __name__ == "__main__":
    main()
