"""Draw one run: what the readers and the answering thread did when.

    python benchmarks/timeline.py [--videos 6] [--output docs/timeline.svg]

The videos are those of benchmarks/videos.py, with 3 questions each. Every read is a bar on its row, every stage of the
answering thread one on the lowest row; where bars stand above each other, reading was hidden behind answering.
"""

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

COLOURS = {
    "read": "#4c78a8",
    "wait": "#e0e0e0",
    "vit": "#f58518",
    "cubing": "#e45756",
    "prefill": "#72b7b2",
    "generation": "#54a24b",
    "other": "#bab0ac",
}
WIDTH, ROW, LEFT = 1000, 26, 90


class Bar(NamedTuple):
    """Something that was done from one moment to another."""

    row: str
    what: str
    start_s: float
    end_s: float


def record(bars: list[Bar]) -> None:
    """Watch the engine's readers and its stopwatch."""
    from qsv_eval.model_adapters import stage_timer
    from qsv_eval.model_adapters.engine import readahead

    read, book = readahead._Reader.read, stage_timer.StageTimer._count

    def watched_read(self: Any, *args: Any) -> Any:
        started = time.perf_counter()
        result = read(self, *args)
        bars.append(Bar(threading.current_thread().name, "read", started, time.perf_counter()))
        return result

    def watched_book(self: Any) -> None:
        since, doing = self._since, self._stack[-1] if self._stack else ""
        book(self)
        if doing:
            bars.append(Bar("answering", doing, since, self._since))

    readahead._Reader.read, stage_timer.StageTimer._count = watched_read, watched_book  # type: ignore[method-assign]


def draw(bars: list[Bar]) -> str:
    """Return the bars as SVG."""
    rows = [*sorted({bar.row for bar in bars} - {"answering"}), "answering"]
    begin, end = min(bar.start_s for bar in bars), max(bar.end_s for bar in bars)
    scale = (WIDTH - LEFT - 10) / (end - begin)
    names = [f"reader {number + 1}" for number in range(len(rows) - 1)] + ["answering"]
    parts = [f'<text x="4" y="{18 + ROW * number}" font-size="12">{name}</text>' for number, name in enumerate(names)]
    for bar in bars:
        x, width = LEFT + (bar.start_s - begin) * scale, max((bar.end_s - bar.start_s) * scale, 0.2)
        y = 4 + ROW * rows.index(bar.row)
        edge = ' stroke="white"' if bar.what == "read" else ""  # one video ends, the next begins
        parts.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="20" fill="{COLOURS[bar.what]}"{edge}/>')
    for number, (what, colour) in enumerate(COLOURS.items()):
        x, y = LEFT + 100 * number, ROW * len(rows) + 12
        parts.append(f'<rect x="{x}" y="{y}" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{x + 16}" y="{y + 11}" font-size="12">{what}</text>')
    height = ROW * len(rows) + 48
    parts.append(f'<text x="{LEFT}" y="{height - 6}" font-size="12">{end - begin:.1f} s in all</text>')
    frame = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif">'
    return "\n".join([frame, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>"]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=6)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "timeline.svg")
    options = parser.parse_args()
    from engine import asks, run_engine
    from naive_pipeline import CHECKPOINT, RULE

    from qsv_eval.model_adapters.quicksviewer import load_pretrained

    bars: list[Bar] = []
    record(bars)
    model = load_pretrained(CHECKPOINT, device="cpu", dtype="float32", frame_rule=RULE)
    with tempfile.TemporaryDirectory() as folder:
        run_engine(asks(options.videos), model, Path(folder))
    options.output.write_text(draw(bars), "utf-8")
    reading = sum(bar.end_s - bar.start_s for bar in bars if bar.what == "read")
    waiting = sum(bar.end_s - bar.start_s for bar in bars if bar.what == "wait")
    print(f"{options.output.name}: {reading:.1f} s of reading, {waiting:.1f} s of waiting for it")


if __name__ == "__main__":
    main()
