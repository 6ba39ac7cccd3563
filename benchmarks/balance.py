"""How evenly the plan loads 8 processes, against dealing requests by their index: a simulation of Video-MME.

    python benchmarks/balance.py

900 videos: 300 of 11 seconds to 2 minutes, 300 of 4 to 15 minutes, 300 of half an hour to an hour, drawn evenly from
a seed, in the benchmark's order (short, medium, long) with 3 questions each; 360p to 1080p. Costs are the plan's own
estimate for a 7B model: decoding at most 420 frames, vision tower, prefill. Dealing gives request i to process i % 8,
as lmms-eval does; every question then decodes and looks anew as in the reference, or (`with reuse`) a process that
gets two questions on one video does it once. The makespan is the load of the busiest process; the ideal is the larger
of an even share of the plan's total and its largest unit, which cannot be divided. Real costs are not the estimates:
in the lower rows each video's differs from its estimate by a random factor, which neither side knew beforehand.
"""

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from qsv_eval.model_adapters.engine.cost_model import UnitCosts  # noqa: E402 - found through the line above
from qsv_eval.model_adapters.engine.scheduler import PlannedMedia, PlannedRequest, WorkItem, assign, make_work_items  # noqa: E402
from qsv_eval.model_adapters.frames import FrameRule, VideoInfo  # noqa: E402
from qsv_eval.model_adapters.quicksviewer import QuicksviewerConfig  # noqa: E402

PROCESSES = 8
QUESTIONS = 3
DURATIONS_S = ((11, 120), (240, 900), (1800, 3600))
VIDEOS_EACH = 300
SIZES = ((640, 360), (854, 480), (1280, 720), (1920, 1080))
SEEDS = range(10)
SPREADS = (0.0, 0.2, 0.5)
"""Standard deviation of the logarithm of the factor between a video's real cost and its estimate."""
RULE = FrameRule(fps=1, max_frames=420)
LIMIT = 1.05


class Loads(NamedTuple):
    """Makespan over ideal of the three ways."""

    planned: float
    dealt_reuse: float
    dealt: float


def costs_of_7b() -> UnitCosts:
    text = {
        "model_type": "qwen2",
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
    }
    vision = {
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 27,
        "num_attention_heads": 16,
        "image_size": 384,
        "patch_size": 14,
    }
    config = QuicksviewerConfig(text_config=text, vision_config=vision)
    return UnitCosts.of(config, frame_size=384, value_bytes=2, flops=1e14)


def draw_videos(rng: np.random.Generator) -> dict[str, VideoInfo]:
    """Return the videos in the benchmark's order."""
    lengths = [rng.uniform(low, high) for low, high in DURATIONS_S for _ in range(VIDEOS_EACH)]
    sizes = [SIZES[rng.integers(len(SIZES))] for _ in lengths]
    return {
        f"{number:03d}": VideoInfo(length_s, 30.0, int(length_s * 30), *size)
        for number, (length_s, size) in enumerate(zip(lengths, sizes, strict=True))
    }


def requests_on(videos: Sequence[str]) -> list[PlannedRequest]:
    """Return all questions in the benchmark's order."""
    return [
        PlannedRequest(
            f"{video}-{question}", "videomme", (video, question), (PlannedMedia("video", video, video),), RULE, "greedy"
        )
        for video in videos
        for question in range(QUESTIONS)
    ]


def video_of(asked: PlannedRequest) -> str:
    return asked.media[0].content_id


def busiest(shares: Sequence[Sequence[float]]) -> float:
    return max(map(sum, shares))


def simulate(seed: int, spread: float, costs: UnitCosts) -> Loads:
    """Plan and deal one draw of the benchmark; `spread` says how wrong the estimates are."""
    rng = np.random.default_rng(seed)
    facts = draw_videos(rng)
    asked = requests_on(list(facts))
    factor = {video: float(rng.lognormal(0.0, spread)) for video in facts}

    def real_s(unit: WorkItem) -> float:
        return unit.cost_s * factor[video_of(unit.batches[0][0])]

    def units_of(questions: Sequence[PlannedRequest]) -> list[WorkItem]:
        return make_work_items(questions, facts, costs, batch_size=QUESTIONS, cache_bytes=8 << 30)

    units = units_of(asked)
    real = [real_s(unit) for unit in units]
    ideal = max(sum(real) / PROCESSES, max(real))
    planned = [[real_s(unit) for unit in share] for share in assign(units, PROCESSES)]
    dealt = [asked[rank::PROCESSES] for rank in range(PROCESSES)]
    with_reuse = [[real_s(unit) for unit in units_of(share)] for share in dealt]
    alone = {video_of(one): real_s(units_of([one])[0]) for one in asked[::QUESTIONS]}
    anew = [[alone[video_of(one)] for one in share] for share in dealt]
    return Loads(*(busiest(shares) / ideal for shares in (planned, with_reuse, anew)))


def main() -> None:
    costs = costs_of_7b()
    print(f"{PROCESSES} processes, {len(SEEDS)} draws; makespan / ideal: median (largest)\n")
    print("| estimates | planned | dealt by index, with reuse | dealt by index |\n|--|--:|--:|--:|")
    for spread in SPREADS:
        draws = [simulate(seed, spread, costs) for seed in SEEDS]
        cells = [f"{statistics.median(column):.3f} ({max(column):.3f})" for column in zip(*draws, strict=True)]
        print(f"| {f'off by {spread:.0%}' if spread else 'exact'} | {' | '.join(cells)} |", flush=True)
        if not spread:
            worst = max(draw.planned for draw in draws)
    print(f"\nWith exact estimates the plan stays within {worst:.3f} of the ideal; the limit is {LIMIT}.")


if __name__ == "__main__":
    main()
