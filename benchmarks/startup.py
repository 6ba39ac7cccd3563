"""How soon a run gives its first answer.

    python benchmarks/startup.py [--runs 5]

Side by side, in processes of their own: (a) from the start of `qsv-eval run` to its first answer in the journal, (b)
the baseline, importing lmms_eval.evaluator and loading the model, and (c) `qsv-eval --help`.
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

FLOOR = """
import lmms_eval.evaluator
from qsv_eval.model_adapters.quicksviewer import load_pretrained
load_pretrained({checkpoint!r}, device="cpu", dtype="float32")
"""


def seconds_to_first_answer(checkpoint: Path, cache: Path) -> float:
    """Start a run and wait for the first line of its journal."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "qsv_eval.cli", "run", "--tasks", "demo", "--pretrained", str(checkpoint)]
        command += ["--device", "cpu", "--dtype", "float32", "--limit", "60", "--output", folder]
        environment = os.environ | {"XDG_CACHE_HOME": str(cache), "HF_HUB_OFFLINE": "1"}
        started = time.perf_counter()
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            journal = Path(folder, "journal")
            while not any(path.stat().st_size for path in journal.glob("*.jsonl")):
                if run.poll() is not None:
                    raise RuntimeError("the run ended without an answer")
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
    """Measure in turn and print medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        floor_code = FLOOR.format(checkpoint=str(CHECKPOINT))
        rows = []
        for warm_up in range(runs + 1):
            answer_s = seconds_to_first_answer(CHECKPOINT, Path(folder, "cache"))
            floor_s = seconds_of(sys.executable, "-c", floor_code)
            help_s = seconds_of(sys.executable, "-m", "qsv_eval.cli", "--help")
            if warm_up:
                rows.append((answer_s, floor_s, help_s, answer_s / floor_s))
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
