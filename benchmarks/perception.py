"""Time and peak memory of perception after the vision tower, streamed against naive.

    python benchmarks/perception.py

Both sides get the same random features: 576 tokens of width 288 per frame, language width 896, float32. The naive side
is the tests' naive.py, which works as the reference: all features at once, loops over frames and cubes, and a position
table (made beforehand). Times are medians of runs in turns. Memory is the peak of live tensors without the weights.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "model_adapters" / "quicksviewer")]

import naive  # noqa: E402 - found through the line above
from memory import LiveBytes  # noqa: E402

from qsv_eval.model_adapters.quicksviewer import QuicksviewerConfig  # noqa: E402
from qsv_eval.model_adapters.quicksviewer.perception import Perception  # noqa: E402

FRAMES = (20, 60, 120, 240, 420)
CHUNKS = (1, 4, 16, 64, 120)
CHUNK_FRAMES = 120
RUNS = 5
TOKENS, VISION_WIDTH, WIDTH = 576, 288, 896


def make_perception() -> Perception:
    text = {"model_type": "qwen2", "hidden_size": WIDTH, "num_attention_heads": 14, "num_key_value_heads": 2}
    vision = {"hidden_size": VISION_WIDTH, "num_attention_heads": 4, "num_hidden_layers": 1, "intermediate_size": 32}
    torch.manual_seed(0)
    perception = Perception(QuicksviewerConfig(text_config=text, vision_config=vision)).eval()
    for parameter in perception.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    perception.encode = lambda feats_TNd: feats_TNd.clone()
    return perception


def peak_megabytes(run: Callable[[], Any], without: list[torch.Tensor]) -> float:
    with LiveBytes(without) as memory:
        run()
    return memory.peak / 2**20


def seconds(runs: list[Callable[[], Any]]) -> list[float]:
    """Return the median time of each function, run in turns so that other load affects all equally."""
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(RUNS):
        for run, run_times in zip(runs, times, strict=True):
            start = time.perf_counter()
            run()
            run_times.append(time.perf_counter() - start)
    return [statistics.median(run_times) for run_times in times]


def compare(perception: Perception) -> None:
    weights = list(perception.parameters())
    print("| frames | streamed s | naive s | ratio | streamed MB | naive MB | ratio | largest difference |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|")
    for frames in FRAMES:
        feats = torch.randn(frames, TOKENS, VISION_WIDTH)
        table = naive.table_of(perception, frames)

        def streamed(feats: torch.Tensor = feats, frames: int = frames) -> Any:
            return perception(None, feats, (frames,))

        def plain(feats: torch.Tensor = feats, table: torch.Tensor = table) -> Any:
            return naive.perceive(perception, feats, table=table)

        ours, theirs = streamed().cubes_CQD, plain()[3]
        difference = ((ours - theirs).abs().max() / theirs.abs().max()).item()
        mb = peak_megabytes(streamed, [*weights, feats]), peak_megabytes(plain, weights)
        s = seconds([streamed, plain])
        print(
            f"| {frames} | {s[0]:.2f} | {s[1]:.2f} | {s[1] / s[0]:.1f} "
            f"| {mb[0]:.0f} | {mb[1]:.0f} | {mb[1] / mb[0]:.1f} | {difference:.0e} |",
            flush=True,
        )


def compare_chunks(perception: Perception) -> None:
    feats = torch.randn(CHUNK_FRAMES, TOKENS, VISION_WIDTH)

    def in_chunks(chunk: int) -> Callable[[], Any]:
        def run() -> Any:
            perception.chunk_frames = chunk
            return perception(None, feats, (CHUNK_FRAMES,))

        return run

    runs = [in_chunks(chunk) for chunk in CHUNKS]
    without = [*perception.parameters(), feats]
    print(f"\nChunk size, {CHUNK_FRAMES} frames:\n\n| frames in a chunk | s | MB |\n|--:|--:|--:|")
    for chunk, run, s in zip(CHUNKS, runs, seconds(runs), strict=True):
        print(f"| {chunk} | {s:.2f} | {peak_megabytes(run, without):.0f} |", flush=True)


def main() -> None:
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {RUNS} runs\n")
    perception = make_perception()
    with torch.no_grad():
        compare(perception)
        compare_chunks(perception)


if __name__ == "__main__":
    main()
