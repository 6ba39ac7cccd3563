"""How long a leaderboard of 50 runs of 10 benchmarks with 3,000 samples each takes, and how much memory.

    python benchmarks/leaderboard.py

The files are made by the real code from replies that are drawn: each benchmark is scored and summed up once, and the
runs have it with values, settings and hashes of their own. All runs' samples are the same files by hard links, 1.5
million lines in all: tables must not read them. Each figure is of a process of its own, from its start to its end.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from qsv_eval.data.sample import Sample
from qsv_eval.protocol import Protocol
from qsv_eval.scoring.sample_result import new_sample_result
from qsv_eval.scoring.scorers import score_sample
from qsv_eval.tasks.registry import task_named

ROOT = Path(__file__).resolve().parent.parent
RUNS = 50
SAMPLES = 3_000
GROUPS = 12
TASKS = (
    "qsv_videomme",
    "qsv_videomme_sub",
    "qsv_videomme_reference",
    "qsv_mvbench",
    "qsv_mvbench_reference",
    "qsv_mlvu",
    "qsv_nextqa",
    "qsv_longvideobench",
    "qsv_lvbench",
    "qsv_egoschema",
)
STAMP = "20261101_000000"


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        make(root)
        lines = RUNS * len(TASKS) * SAMPLES
        print(f"{RUNS} runs of {len(TASKS)} benchmarks, {lines:,} samples")
        measure("leaderboard", root / "runs", "--output", root / "tables")
        measure("compare", root / "runs" / "00", root / "runs" / "01", "--output", root / "difference")


def measure(verb: str, *words: object) -> None:
    """Run a verb of the command line and print how long it took and its peak memory."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "qsv_eval.cli", verb, *map(str, words)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{verb} ended with {process.returncode}")
    print(f"{verb}: {time.perf_counter() - start:.1f} s, peak {used.ru_maxrss / 1e6:.2f} GB")


def make(root: Path) -> None:
    """Write the runs' files."""
    rows = {name: [row_of(name, number) for number in range(SAMPLES)] for name in TASKS}
    summaries = {name: task_named(name).summarise(own) for name, own in rows.items()}
    for name, own in rows.items():
        (root / f"{name}.jsonl").write_text("".join(f"{json.dumps({'outcome': row})}\n" for row in own))
    for run in range(RUNS):
        folder = root / "runs" / f"{run:02}"
        folder.mkdir(parents=True)
        results = {name: {"outcome,none": of_run(summary, run)} for name, summary in summaries.items()}
        model = f"org/model-{run % 10}"
        content = {"results": results, "model_name": model, "date": STAMP, "config": {"model": "quicksviewer"}}
        (folder / f"{STAMP}_results.json").write_text(json.dumps(content))
        for name in TASKS:
            os.link(root / f"{name}.jsonl", folder / f"{STAMP}_samples_{name}.jsonl")
    # One run of its own replies, for a comparison that has something to find.
    for name in TASKS:
        other = root / "runs" / "01" / f"{STAMP}_samples_{name}.jsonl"
        other.unlink()
        own = [row_of(name, number, seed=1) for number in range(SAMPLES)]
        other.write_text("".join(f"{json.dumps({'outcome': row})}\n" for row in own))


def row_of(task: str, number: int, seed: int = 0) -> dict:
    known = task_named(task)
    groups = {field: f"group {number * (place + 1) % GROUPS}" for place, field in enumerate(known.fields)}
    sample = Sample(
        id=f"{number:05}",
        question=f"What is seen in scene {number}, and what comes after it?",
        options=("A. a dog", "B. a cat", "C. a bird", "D. a fish"),
        answer="C",
        cluster=f"video {number // 3}",
        groups=groups,
    )
    reply = random.Random(f"{task} {number} {seed}").choice("CCCA")
    return dict(score_sample(new_sample_result(task, sample, reply), known.scorer))


def of_run(summary: dict, run: int) -> dict:
    answers = {"checkpoint": f"{run % 10}", "frame_rule": {"fps": 1.0, "max_frames": 64 * (1 + run // 10)}}
    protocol = Protocol.from_dict({**summary["protocol"], "answers": answers})
    return {**summary, "value": summary["value"] - 0.1 * run, "protocol": protocol.as_dict()}


if __name__ == "__main__":
    main()
