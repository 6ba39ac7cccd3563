"""How long a leaderboard of 50 runs of 10 benchmarks with 3,000 samples each takes, and how much memory.

    python benchmarks/leaderboard.py

The files are made by the real code from replies that are drawn: each benchmark is scored and summed up once, and the
runs have it with values, settings and hashes of their own. All runs' samples are the same files by hard links, 1.5
million lines in all: tables must not read them. Each figure is of a process of its own, imports included.
"""

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from qsv_eval.data.sample import Sample
from qsv_eval.protocol import Protocol
from qsv_eval.scoring.row import new_row
from qsv_eval.scoring.scorers import score_row
from qsv_eval.tasks.registry import task_named

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
    if len(sys.argv) > 1:
        measured(sys.argv[1:])
        return
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        make(root)
        lines = RUNS * len(TASKS) * SAMPLES
        print(f"{RUNS} runs of {len(TASKS)} benchmarks, {lines:,} samples")
        for words in (
            ["leaderboard", str(root / "runs"), "--output", str(root / "tables")],
            ["compare", str(root / "runs" / "00"), str(root / "runs" / "01"), "--output", str(root / "difference")],
        ):
            done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=True)
            print(done.stdout.splitlines()[-1])


def measured(words: list[str]) -> None:
    start = time.perf_counter()
    from qsv_eval.cli import app

    app(words, standalone_mode=False)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{words[0]}: {time.perf_counter() - start:.1f} s, peak {peak:.2f} GB")


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
    return dict(score_row(new_row(task, sample, reply), known.scorer))


def of_run(summary: dict, run: int) -> dict:
    answers = {"checkpoint": f"{run % 10}", "frame_rule": {"fps": 1.0, "max_frames": 64 * (1 + run // 10)}}
    protocol = Protocol.from_dict({**summary["protocol"], "answers": answers})
    return {**summary, "value": summary["value"] - 0.1 * run, "protocol": protocol.as_dict()}


if __name__ == "__main__":
    main()
