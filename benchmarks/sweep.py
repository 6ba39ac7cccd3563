"""Time of a sweep over six frame counts against its largest cell alone, on 12 videos with 3 questions each.

    python benchmarks/sweep.py [--runs 3] [--videos 12] [--hour] [--rules reference nested] [--equal]

Cells have at most 8 to 420 frames at 1 fps. The engine runs in float32, greedy, 16 new tokens, with a new journal for
each run; the largest cell and the sweep are measured in turns.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from engine import make_engine, make_questions, make_requests  # noqa: E402
from naive_pipeline import CHECKPOINT  # noqa: E402

from qsv_eval.model_adapters.engine.records import AnswerStatus, ExitReason  # noqa: E402
from qsv_eval.model_adapters.frames import FrameRule  # noqa: E402
from qsv_eval.model_adapters.quicksviewer import load_pretrained  # noqa: E402

LIMITS = (8, 32, 64, 128, 256, 420)


class Run(NamedTuple):
    """Time, work and answers of one run of the engine."""

    wall_s: float
    reads: int
    frames: int
    """Number of frames that the vision tower encoded."""
    stages: dict[str, float]
    answers: dict[tuple[str, int], str]


def run(model: Any, videos: int, rules: Sequence[FrameRule]) -> Run:
    """Answer all questions under each rule."""
    questions = make_questions(videos)
    requests = [item for rule in rules for item in make_requests(questions, rule, f"cell@{rule.max_frames}")]
    encoded: list[int] = []
    summarise_frames = model.summarise_frames
    model.summarise_frames = lambda frames: encoded.append(len(frames)) or summarise_frames(frames)
    with tempfile.TemporaryDirectory() as folder:
        engine = make_engine(model, Path(folder))
        started = time.perf_counter()
        answers = engine.answer(requests)
        wall_s = time.perf_counter() - started
        engine.journal.end(ExitReason.DONE)
    model.summarise_frames = summarise_frames
    assert all(answer.status is AnswerStatus.ANSWERED for answer in answers), [answer.reason for answer in answers]
    texts = {(item.task, item.doc_id): answer.text for item, answer in zip(requests, answers, strict=True)}
    return Run(wall_s, engine.efficiency.reads, sum(encoded), engine.efficiency.stages, texts)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="runs of each side (default: 3)")
    parser.add_argument("--videos", type=int, default=12, help="number of videos, up to 12 (default: 12)")
    parser.add_argument("--hour", action="store_true", help="use one video of an hour")
    parser.add_argument("--rules", nargs="+", default=["reference", "nested"], help="frame rules (default: both)")
    parser.add_argument("--equal", action="store_true", help="compare the answers with those of each cell run alone")
    options = parser.parse_args()
    videos = 0 if options.hour else options.videos
    model = load_pretrained(CHECKPOINT, device="cpu", dtype="float32")
    run(model, min(videos, 1), [FrameRule(max_frames=8)])  # warms up
    print("| rule | cells | seconds (median) | of the largest | frames seen | reads | vit, llm, wait s |")
    print("|--|--|--:|--:|--:|--:|--|")
    for name in options.rules:
        rules = [FrameRule(max_frames=limit, name=name) for limit in LIMITS]
        sides: dict[str, list[Run]] = {"largest": [], "sweep": []}
        for _ in range(options.runs):
            sides["largest"].append(run(model, videos, rules[-1:]))
            sides["sweep"].append(run(model, videos, rules))
        medians = {side: statistics.median(run.wall_s for run in runs) for side, runs in sides.items()}
        for side, runs in sides.items():
            last = runs[-1]
            llm = last.stages["prefill"] + last.stages["generation"]
            print(
                f"| {name} | {side} | {medians[side]:.1f} | {medians[side] / medians['largest']:.2f} | {last.frames} "
                f"| {last.reads} | {last.stages['vit']:.1f}, {llm:.1f}, {last.stages['wait']:.1f} |",
                flush=True,
            )
        if options.equal:
            alone = {key: text for rule in rules for key, text in run(model, videos, [rule]).answers.items()}
            together = sides["sweep"][-1].answers
            same = sum(alone[key] == text for key, text in together.items())
            print(f"{name}: {same} of {len(together)} answers are those of the cell run alone", flush=True)


if __name__ == "__main__":
    main()
