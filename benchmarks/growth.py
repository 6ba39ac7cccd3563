"""How the cost of a frame grows with the length of the video: perception after the vision tower, and the merge.

    python benchmarks/growth.py [--runs 5]

Perception is handed random features in chunks, as the tower would make them: 576 tokens of width 144 for each frame,
language width 512, float32. The merge gets the prompt of a video of that many frames and its cubes, at the same width
of the language model. Time is the median of several runs; the sizes take turns. A short video is done as many times in
a row as make 420 frames, so that what is timed is never a trifle.

Fresh memory costs a page fault every 4 KiB. glibc hands freed memory out again up to 32 MiB a piece and gives larger
pieces back to the kernel, so the same copy is dearer in a long video than in a short one. How much of the growth that
is, the last table shows: the merge again, in a process where glibc keeps all that is freed.
"""

import argparse
import gc
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from qsv_eval.model_adapters.cubing import CubeRule  # noqa: E402
from qsv_eval.model_adapters.quicksviewer import (  # noqa: E402 - found through the line above
    Quicksviewer,
    QuicksviewerConfig,
    load_pretrained,
)
from qsv_eval.model_adapters.quicksviewer.messages import DecodedVideo  # noqa: E402
from qsv_eval.model_adapters.quicksviewer.perception import Perception, VisualTokens  # noqa: E402

CHECKPOINT = ROOT / "tests" / "data" / "reference" / "qwen2"
FRAMES = (20, 60, 120, 240, 420, 900, 1800, 3600)
BASE = 420
LIMIT = 1.15
TOKENS, VISION_WIDTH, WIDTH, QUERIES = 576, 144, 512, 64

Work = dict[int, Callable[[], Any]]


def make_perception() -> Perception:
    text = {"model_type": "qwen2", "hidden_size": WIDTH, "num_attention_heads": 4, "num_key_value_heads": 2}
    vision = {"hidden_size": VISION_WIDTH, "num_attention_heads": 4, "num_hidden_layers": 1, "intermediate_size": 32}
    torch.manual_seed(0)
    perception = Perception(QuicksviewerConfig(text_config=text, vision_config=vision)).eval()
    for parameter in perception.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    perception.encode = lambda feats_TNd: feats_TNd.clone()
    return perception


def perception_work() -> Work:
    """Return for each number of frames the call to time."""
    perception = make_perception()
    feats_TNd = torch.randn(max(FRAMES), TOKENS, VISION_WIDTH)
    return {frames: lambda frames=frames: perception(None, feats_TNd[:frames], (frames,)) for frames in FRAMES}


def merge_work() -> Work:
    model = load_pretrained(CHECKPOINT, device="cpu", dtype="float32")
    model.model.set_input_embeddings(torch.nn.Embedding(model.model.get_input_embeddings().num_embeddings, WIDTH))
    return {frames: merge_of(model, frames) for frames in FRAMES}


def merge_of(model: Quicksviewer, frames: int) -> Callable[[], Any]:
    """Return the merge of the prompt of a video at one frame a second, cut at random."""
    video = DecodedVideo(frames, [second + 0.5 for second in range(frames)])
    content = [{"type": "video", "video": video}, {"type": "text", "text": "What happens first?"}]
    tokens = model.processor.tokens([{"role": "user", "content": content}])
    generator = torch.Generator().manual_seed(0)
    cuts = CubeRule().cuts(frames)
    starts_T = torch.zeros(frames, dtype=torch.bool)
    starts_T[0] = True
    starts_T[1 + torch.randperm(frames - 1, generator=generator)[:cuts]] = True
    blocks = torch.randn(1 + 1 + cuts, QUERIES, WIDTH, generator=generator)
    visual = VisualTokens(blocks[:0], blocks[:1], blocks[1:], starts_T, torch.zeros(frames - 1, 2), (frames,))
    ids, kinds, frame_ids = (torch.tensor([column]) for column in tokens)
    return lambda: model.model.model.merge(ids, None, kinds, frame_ids, visual, pad_left=True)


class Cost(NamedTuple):
    """Of one frame."""

    ms: float
    faults: float


def costs_of(work: Work, runs: int) -> dict[int, list[Cost]]:
    """Time each size `runs` times, in turns; the first turn warms up and does not count."""
    costs: dict[int, list[Cost]] = {frames: [] for frames in work}
    for turn in range(runs + 1):
        for frames, call in work.items():
            times_over = max(1, BASE // frames)
            gc.collect()
            faults, started = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.perf_counter()
            for _ in range(times_over):
                call()
            taken_ms = (time.perf_counter() - started) * 1e3
            faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
            if turn:
                costs[frames].append(Cost(taken_ms / (times_over * frames), faults / (times_over * frames)))
    return costs


class Milliseconds(NamedTuple):
    """Of one frame, at each size."""

    median: dict[int, float]
    least: dict[int, float]


def show(name: str, costs: dict[int, list[Cost]]) -> Milliseconds:
    """Print a table and return its times."""
    times = {frames: [cost.ms for cost in taken] for frames, taken in costs.items()}
    median = {frames: statistics.median(taken) for frames, taken in times.items()}
    print(f"\n{name}:\n\n| frames | ms a frame | ratio to {BASE} | min | max | page faults |")
    print("|--:|--:|--:|--:|--:|--:|")
    for frames, taken in times.items():
        faults = statistics.median(cost.faults for cost in costs[frames])
        ratio = f"{median[frames] / median[BASE]:.2f}"
        print(f"| {frames} | {median[frames]:.4f} | {ratio} | {min(taken):.4f} | {max(taken):.4f} | {faults:.1f} |")
    sys.stdout.flush()
    return Milliseconds(median, {frames: min(taken) for frames, taken in times.items()})


def conclude(name: str, times: Milliseconds) -> None:
    longest = max(FRAMES)
    ratio, least = (of[longest] / of[BASE] for of in times)
    print(f"{name}: a frame of {longest} costs {ratio:.2f} times one of {BASE} (limit {LIMIT}; fastest: {least:.2f})")


def added(one: Milliseconds, other: Milliseconds) -> Milliseconds:
    return Milliseconds(*({frames: a[frames] + b[frames] for frames in a} for a, b in zip(one, other, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--kept", action="store_true", help=argparse.SUPPRESS)  # the last table
    options = parser.parse_args()
    with torch.inference_mode():
        if options.kept:
            conclude("\nMerge, memory kept", show("Merge, memory kept", costs_of(merge_work(), options.runs * 3)))
            return
        print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {options.runs} runs")
        perception = show("Perception after the vision tower", costs_of(perception_work(), options.runs))
        merge = show("Merge", costs_of(merge_work(), options.runs * 3))
    print()
    conclude("Perception", perception)
    conclude("Merge", merge)
    conclude("Both", added(perception, merge))
    sys.stdout.flush()
    keep = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 33)}
    again = [sys.executable, __file__, "--kept", "--runs", str(options.runs)]
    subprocess.run(again, env=os.environ | keep, stderr=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    main()
