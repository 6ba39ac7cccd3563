"""Time from the start of `qsv-eval run` to the first answer in its journal.

    python benchmarks/startup.py [--runs 5]

The baseline is the import of lmms_eval.evaluator and loading the model; `qsv-eval --help` is measured too.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from qsv_eval.demo import CHECKPOINT

BASELINE = """
import lmms_eval.evaluator
from qsv_eval.model_adapters.quicksviewer import load_pretrained
load_pretrained({checkpoint!r}, device="cpu", dtype="float32")
"""


def seconds_to_first_answer(checkpoint: Path, cache: Path) -> float:
    """Start a run, and wait for the first line of its journal."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "qsv_eval.cli", "run", "--tasks", "demo", "--pretrained", str(checkpoint)]
        command += ["--device", "cpu", "--dtype", "float32", "--limit", "60", "--output", folder]
        environment = os.environ | {"XDG_CACHE_HOME": str(cache), "HF_HUB_OFFLINE": "1"}
        started = time.perf_counter()
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            journal = Path(folder, "journal")
            while not any(path.stat().st_size for path in journal.glob("*.jsonl")):
                if run.poll() is not None:
                    raise RuntimeError(f"the run ended without an answer, with exit code {run.returncode}")
                time.sleep(0.01)
            elapsed_s = time.perf_counter() - started
            run.kill()
    return elapsed_s


def seconds_of(*command: str) -> float:
    """Time a whole process."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Measure in turns, and print medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="number of runs after a warm-up (default: 5)")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        baseline_code = BASELINE.format(checkpoint=str(CHECKPOINT))
        rows = []
        for run in range(runs + 1):
            answer_s = seconds_to_first_answer(CHECKPOINT, Path(folder, "cache"))
            baseline_s = seconds_of(sys.executable, "-c", baseline_code)
            help_s = seconds_of(sys.executable, "-m", "qsv_eval.cli", "--help")
            if run:  # the first is the warm-up
                rows.append((answer_s, baseline_s, help_s, answer_s / baseline_s))
    names = (
        "first answer of a run, s",
        "baseline: import lmms_eval + load, s",
        "qsv-eval --help, s",
        "first answer / baseline",
    )
    print("| what | median | min | max |\n|--|--|--|--|")
    for name, values in zip(names, zip(*rows, strict=True), strict=True):
        print(f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f} |")


if __name__ == "__main__":
    main()
