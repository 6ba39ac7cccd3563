"""A sweep over frame counts against its largest cell alone: 12 videos of 1 to 10 minutes, 3 questions on each.

    python benchmarks/sweep.py [--runs 3] [--videos 12] [--hour] [--rules reference nested] [--equal]

Six cells, 8 to 420 frames at 1 fps, the engine that lmms-eval's adapter calls, float32, greedy, 16 new tokens, a new
journal for each run. The largest cell and the sweep take turns, rule by rule; the medians are compared. `reads` is how
often a video was decoded. `--equal` runs each cell alone as well and compares its answers with those in the sweep.
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

from engine import asks, make_engine, questions_of  # noqa: E402
from naive_pipeline import CHECKPOINT  # noqa: E402

from qsv_eval.model_adapters.engine.records import AnswerStatus, ExitReason  # noqa: E402
from qsv_eval.model_adapters.frames import FrameRule  # noqa: E402
from qsv_eval.model_adapters.quicksviewer import load_pretrained  # noqa: E402

LIMITS = (8, 32, 64, 128, 256, 420)


class Run(NamedTuple):
    """One run of the engine."""

    wall_s: float
    reads: int
    frames: int
    """Seen by the vision tower."""
    stages: dict[str, float]
    answers: dict[tuple[str, int], str]


def run(model: Any, videos: int, rules: Sequence[FrameRule]) -> Run:
    """Answer all questions under each rule."""
    asked = [one for rule in rules for one in questions_of(asks(videos), rule, f"cell@{rule.max_frames}")]
    seen: list[int] = []
    looking = model.summarise_frames
    model.summarise_frames = lambda frames: seen.append(len(frames)) or looking(frames)
    with tempfile.TemporaryDirectory() as folder:
        engine = make_engine(model, Path(folder))
        started = time.perf_counter()
        answers = engine.answer(asked)
        wall_s = time.perf_counter() - started
        engine.journal.end(ExitReason.DONE)
    model.summarise_frames = looking
    assert all(answer.status is AnswerStatus.ANSWERED for answer in answers), [answer.reason for answer in answers]
    said = {(one.task, one.doc_id): answer.text for one, answer in zip(asked, answers, strict=True)}
    return Run(wall_s, engine.efficiency.reads, sum(seen), engine.efficiency.stages, said)


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--videos", type=int, default=12)
    parser.add_argument("--hour", action="store_true")
    parser.add_argument("--rules", nargs="+", default=["reference", "nested"])
    parser.add_argument("--equal", action="store_true")
    given = parser.parse_args()
    videos = 0 if given.hour else given.videos
    model = load_pretrained(CHECKPOINT, device="cpu", dtype="float32")
    run(model, min(videos, 1), [FrameRule(max_frames=8)])  # warms up
    print("| rule | cells | seconds (median) | of the largest | frames seen | reads | vit, llm, wait s |")
    print("|--|--|--:|--:|--:|--:|--|")
    for name in given.rules:
        rules = [FrameRule(max_frames=limit, name=name) for limit in LIMITS]
        sides: dict[str, list[Run]] = {"largest": [], "sweep": []}
        for _ in range(given.runs):
            sides["largest"].append(run(model, videos, rules[-1:]))
            sides["sweep"].append(run(model, videos, rules))
        medians = {side: statistics.median(one.wall_s for one in runs) for side, runs in sides.items()}
        for side, runs in sides.items():
            last = runs[-1]
            llm = last.stages["prefill"] + last.stages["generation"]
            print(
                f"| {name} | {side} | {medians[side]:.1f} | {medians[side] / medians['largest']:.2f} | {last.frames} "
                f"| {last.reads} | {last.stages['vit']:.1f}, {llm:.1f}, {last.stages['wait']:.1f} |",
                flush=True,
            )
        if given.equal:
            alone = {key: text for rule in rules for key, text in run(model, videos, [rule]).answers.items()}
            together = sides["sweep"][-1].answers
            same = sum(alone[key] == text for key, text in together.items())
            print(f"{name}: {same} of {len(together)} answers are those of the cell run alone", flush=True)


if __name__ == "__main__":
    main()
