"""Load balance of 8 processes, scheduled against dealt by request index, in a simulation of Video-MME.

    python benchmarks/balance.py

900 videos of 11 s to 1 h with 3 questions each, in the benchmark's order; costs are the scheduler's estimates for a 7B
model. Dealing gives request i to process i % 8, as lmms-eval does; then every question decodes and encodes its video
again or, `with reuse`, each process does it once per video. The makespan is the load of the busiest process, and its
ideal the larger of an even split and the largest work item. In the lower rows, the real cost of each video differs from
its estimate by a random factor.
"""

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from qsv_eval.model_adapters.cubing import CubeRule  # noqa: E402 - found through the line above
from qsv_eval.model_adapters.engine.cost_model import UnitCosts  # noqa: E402
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
"""Standard deviations of the logarithm of a video's real cost divided by its estimate."""
RULE = FrameRule(fps=1, max_frames=420)
LIMIT = 1.05


class Loads(NamedTuple):
    """Makespan divided by the ideal, for the three ways of distributing requests."""

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
        f"{i:03d}": VideoInfo(length_s, 30.0, int(length_s * 30), *size)
        for i, (length_s, size) in enumerate(zip(lengths, sizes, strict=True))
    }


def requests_on(videos: Sequence[str]) -> list[PlannedRequest]:
    """Return all requests in the benchmark's order."""
    return [
        PlannedRequest(
            f"{video}-{question}",
            "videomme",
            (video, question),
            (PlannedMedia("video", video, video),),
            RULE,
            CubeRule(),
            "greedy",
        )
        for video in videos
        for question in range(QUESTIONS)
    ]


def video_of(request: PlannedRequest) -> str:
    return request.media[0].content_id


def simulate(seed: int, spread: float, costs: UnitCosts) -> Loads:
    """Distribute one random draw of the benchmark; `spread` is the error of the estimates."""
    rng = np.random.default_rng(seed)
    videos = draw_videos(rng)
    requests = requests_on(list(videos))
    factor = {video: float(rng.lognormal(0.0, spread)) for video in videos}

    def real_s(item: WorkItem) -> float:
        return item.cost_s * factor[video_of(item.batches[0][0])]

    def items_of(requests: Sequence[PlannedRequest]) -> list[WorkItem]:
        return make_work_items(requests, videos, costs, batch_size=QUESTIONS, cache_bytes=8 << 30)

    items = items_of(requests)
    real = [real_s(item) for item in items]
    ideal = max(sum(real) / PROCESSES, max(real))
    planned = [sum(map(real_s, assigned)) for assigned in assign(items, PROCESSES)]
    dealt = [requests[rank::PROCESSES] for rank in range(PROCESSES)]
    with_reuse = [sum(map(real_s, items_of(requests))) for requests in dealt]
    single = {video_of(request): real_s(items_of([request])[0]) for request in requests[::QUESTIONS]}
    without_reuse = [sum(single[video_of(request)] for request in requests) for requests in dealt]
    return Loads(*(max(loads) / ideal for loads in (planned, with_reuse, without_reuse)))


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
    print(f"\nWith exact estimates the scheduler's makespan is at most {worst:.3f} of the ideal; the limit is {LIMIT}.")


if __name__ == "__main__":
    main()
