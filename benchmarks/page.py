"""Time, peak memory and size of the leaderboard's page for 50 runs of 10 benchmarks with 3,000 samples each.

    python benchmarks/page.py [FOLDER]

The runs are those of `leaderboard.py`, each with a journal of answers on 64 frames in 13 cubes (hard links). There are
no videos, so no thumbnails are made. With FOLDER, the page is kept there.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from leaderboard import RUNS, SAMPLES, TASKS, make, measure

from qsv_eval.model_adapters.engine.records import AnswerStatus, Record, VideoUse
from qsv_eval.model_adapters.plurals import counted


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        output = Path(sys.argv[1]) if sys.argv[1:] else root / "board"
        make(root)
        write_journals(root)
        print(
            f"{RUNS} runs of {len(TASKS)} benchmarks, {RUNS * len(TASKS) * SAMPLES:,} samples and answers in journals"
        )
        for options in (["--no-page", "--no-plots"], ["--no-page"], ["--no-plots"], []):
            title = " ".join(options) or "all of it"
            measure(title, "leaderboard", root / "runs", "--output", output, *options)
        print(f"index.html {(output / 'index.html').stat().st_size / 1e6:.2f} MB", end="")
        for part in (output / "page", output / "plots"):
            sizes = [path.stat().st_size for path in part.rglob("*") if path.is_file()]
            print(f"; {part.name}/ {sum(sizes) / 1e6:.1f} MB in {counted(len(sizes), 'file')}", end="")
        print()


def write_journals(root: Path) -> None:
    """Write a journal into each run folder."""
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
            for index in range(SAMPLES):
                ids = {"key": f"{task}{index}", "task": task, "doc_id": index, "sample_id": f"{index:05}"}
                record = Record(**fixed, **ids, visual_tokens=832, prompt_tokens=900, read_s=0.8)
                file.write(json.dumps(record.model_dump(mode="json")) + "\n")
    for run in (root / "runs").iterdir():
        (run / "run.json").write_text("{}")
        (run / "journal").mkdir()
        os.link(root / "journal.jsonl", run / "journal" / "1.jsonl")


if __name__ == "__main__":
    main()
