"""Time and peak memory of `leaderboard` and `compare` for 50 runs of 10 benchmarks with 3,000 samples each.

    python benchmarks/leaderboard.py

Replies are drawn at random and scored once per benchmark; runs differ in values and settings, and their sample files
are hard links. Each command is measured as a whole process.
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
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make(root)
        lines = RUNS * len(TASKS) * SAMPLES
        print(f"{RUNS} runs of {len(TASKS)} benchmarks, {lines:,} samples")
        measure("leaderboard", "leaderboard", root / "runs", "--output", root / "tables")
        measure("compare", "compare", root / "runs" / "00", root / "runs" / "01", "--output", root / "difference")


def measure(title: str, *words: object) -> None:
    """Run `qsv-eval` with these words, and print the time and peak memory of the process."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "qsv_eval.cli", *map(str, words)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{title}: exit code {process.returncode}")
    print(f"{title}: {time.perf_counter() - start:.1f} s, peak {usage.ru_maxrss / 1e6:.2f} GB", flush=True)


def make(root: Path) -> None:
    """Write the run folders."""
    results_of = {name: [sample_result(name, index) for index in range(SAMPLES)] for name in TASKS}
    summaries = {name: task_named(name).summarise(results) for name, results in results_of.items()}
    for name, results in results_of.items():
        write_samples(root / f"{name}.jsonl", results)
    for run in range(RUNS):
        folder = root / "runs" / f"{run:02}"
        folder.mkdir(parents=True)
        scores = {name: {"outcome,none": score_of_run(summary, run)} for name, summary in summaries.items()}
        model = f"org/model-{run % 10}"
        content = {"results": scores, "model_name": model, "date": STAMP, "config": {"model": "quicksviewer"}}
        (folder / f"{STAMP}_results.json").write_text(json.dumps(content))
        for name in TASKS:
            os.link(root / f"{name}.jsonl", folder / f"{STAMP}_samples_{name}.jsonl")
    # One run has other replies, so that `compare` finds a difference.
    for name in TASKS:
        path = root / "runs" / "01" / f"{STAMP}_samples_{name}.jsonl"
        path.unlink()
        write_samples(path, [sample_result(name, index, seed=1) for index in range(SAMPLES)])


def write_samples(path: Path, results: list[dict]) -> None:
    path.write_text("".join(f"{json.dumps({'outcome': result})}\n" for result in results))


def sample_result(task_name: str, index: int, seed: int = 0) -> dict:
    task = task_named(task_name)
    groups = {field: f"group {index * (i + 1) % GROUPS}" for i, field in enumerate(task.fields)}
    sample = Sample(
        id=f"{index:05}",
        question=f"What is seen in scene {index}, and what comes after it?",
        options=("A. a dog", "B. a cat", "C. a bird", "D. a fish"),
        answer="C",
        cluster=f"video {index // 3}",
        groups=groups,
    )
    reply = random.Random(f"{task_name} {index} {seed}").choice("CCCA")
    return dict(score_sample(new_sample_result(task_name, sample, reply), task.scorer))


def score_of_run(summary: dict, run: int) -> dict:
    answers = {"checkpoint": f"{run % 10}", "frame_rule": {"fps": 1.0, "max_frames": 64 * (1 + run // 10)}}
    protocol = Protocol.from_dict({**summary["protocol"], "answers": answers})
    return {**summary, "value": summary["value"] - 0.1 * run, "protocol": protocol.as_dict()}


if __name__ == "__main__":
    main()
