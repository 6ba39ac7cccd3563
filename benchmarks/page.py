"""How long the page of 50 runs of 10 benchmarks with 3,000 samples each takes to make, and how large it is.

    python benchmarks/page.py [FOLDER]

The runs are those of `leaderboard.py`, and each has a journal too, of answers that rest on 64 frames in 12 cubes; all
runs' journals are the same file by hard links. Videos are not at hand, so no thumbnail is made. With FOLDER, the page
stays there.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from leaderboard import RUNS, SAMPLES, TASKS, make

from qsv_eval.model_adapters.engine.records import AnswerStatus, Record, VideoUse


def main() -> None:
    if sys.argv[1:2] == ["--measured"]:
        measured(sys.argv[2:])
        return
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        output = Path(sys.argv[1]) if sys.argv[1:] else root / "board"
        make(root)
        write_journals(root)
        print(
            f"{RUNS} runs of {len(TASKS)} benchmarks, {RUNS * len(TASKS) * SAMPLES:,} samples and answers in journals"
        )
        for options in (["--no-page", "--no-plots"], ["--no-page"], ["--no-plots"], []):
            words = ["leaderboard", str(root / "runs"), "--output", str(output), *options]
            command = [sys.executable, __file__, "--measured", *words]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            print(f"{' '.join(options) or 'all of it'}: {done.stdout.splitlines()[-1]}", flush=True)
        print(f"index.html {(output / 'index.html').stat().st_size / 1e6:.2f} MB", end="")
        for folder in (output / "page", output / "plots"):
            files = [path for path in folder.rglob("*") if path.is_file()]
            print(f"; {folder.name}/ {sum(path.stat().st_size for path in files) / 1e6:.1f} MB", end="")
            print(f" in {len(files):,} files", end="")
        print()


def measured(words: list[str]) -> None:
    start = time.perf_counter()
    from qsv_eval.cli import app

    app(words, standalone_mode=False)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{time.perf_counter() - start:.1f} s, peak {peak:.2f} GB")


def write_journals(root: Path) -> None:
    """Give each run a journal."""
    times = [0.5 + second for second in range(64)]
    cubes = [(start, min(start + 5, 64), float(start), min(start + 5.0, 64.0)) for start in range(0, 64, 5)]
    use = VideoUse(timestamps_s=times, cubes=cubes)
    seconds = {"wait": 0.1, "vit": 0.6, "cubing": 0.1, "prefill": 0.4, "generation": 0.2, "other": 0.01}
    fixed = {
        "split": "test",
        "repeat": 0,
        "fate": AnswerStatus.ANSWERED,
        "text": "C",
        "videos": [use],
        "seconds": seconds,
    }
    with (root / "journal.jsonl").open("w") as file:
        for task in TASKS:
            for number in range(SAMPLES):
                own = {"key": f"{task}{number}", "task": task, "doc_id": number, "sample_id": f"{number:05}"}
                record = Record(**fixed, **own, visual_tokens=832, prompt_tokens=900, read_s=0.8)
                file.write(json.dumps(record.model_dump(mode="json")) + "\n")
    for run in (root / "runs").iterdir():
        (run / "run.json").write_text("{}")
        (run / "journal").mkdir()
        os.link(root / "journal.jsonl", run / "journal" / "1.jsonl")


if __name__ == "__main__":
    main()
