"""Time of a training step against a plain padded loop written as the reference, and the wait for data in a run.

    python benchmarks/training_step.py [--runs 5] [--steps 20]

Both sides get the same micro-batches of clips and single scenes, the weights of the untrained tiny model, and bfloat16
autocast. The plain side encodes each sample separately by the tests' naive.py, pads the samples, attends with a mask
(SDPA or eager) and computes all logits. Ours encodes a micro-batch at once, packs it and computes only logits with
labels. The losses are compared first.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "model_adapters" / "quicksviewer")]

import naive  # noqa: E402 - found through the line above

from qsv_eval.model_adapters.quicksviewer.perception import VisualTokens  # noqa: E402
from qsv_eval.tiny.clip_data import pack, samplers  # noqa: E402
from qsv_eval.tiny.curriculum import tiny  # noqa: E402
from qsv_eval.tiny.initial_model import SIDE, make_start  # noqa: E402
from qsv_eval.training.data.samples import Batch, collate  # noqa: E402
from qsv_eval.training.model import LossContext, QuicksviewerForTraining  # noqa: E402
from qsv_eval.training.recipe import Rates, Recipe, Start  # noqa: E402
from qsv_eval.training.run import train  # noqa: E402
from qsv_eval.training.setup import set_up  # noqa: E402

MICRO_BATCHES = 4
PLAIN = ("sdpa", "eager")
"""Attention implementations of the plain side; the machine decides which is faster."""


def make_recipe(folder: Path) -> Recipe:
    draws = samplers(SIDE, questions=6)
    pack(folder / "clips", 120, draws["clips"])
    pack(folder / "glimpses", 40, draws["glimpses"])
    start = make_start(folder / "start")
    mixture = f"{folder}/clips/shard-000000.tar;{folder}/glimpses/shard-000000.tar"
    recipe = tiny("step", Rates(1e-4, 1e-4, None, 1e-4, 1e-4), MICRO_BATCHES, 2048, mixture)
    return replace(recipe, start=Start(str(start)), log_every=1)


def inputs_of(batch: Batch) -> dict[str, Any]:
    return {key: value for key, value in batch.items() if key not in ("skipped", "samples", "uniform_G2")}


def tokens_of(batch: Batch) -> int:
    return int((batch["labels"][:, 1:] != -100).sum())


def our_step(model: QuicksviewerForTraining, batch: Batch) -> Tensor:
    gaps = int((batch["frame_counts"] - 1).sum())
    with torch.autocast("cpu", torch.bfloat16):
        return model(**inputs_of(batch), context=LossContext(tokens_of(batch), gaps, packed=True)).loss


def plain_step(model: QuicksviewerForTraining, batch: Batch, table: Tensor) -> Tensor:
    perception = model.model.perception
    with torch.autocast("cpu", torch.bfloat16):
        counts = tuple(batch["frame_counts"].tolist())
        perceived = [
            naive.perceive(perception, perception.encode(frames).float(), table=table)
            for frames in batch["pixel_values_videos"].split(counts)
        ]
        starts = [
            torch.zeros(count, dtype=torch.bool).index_fill(0, torch.tensor(video[1]), True)
            for count, video in zip(counts, perceived, strict=True)
        ]
        tiles = [
            naive.resample(perception.resampler, perception.encode(tile).float(), 0, table)
            for tile in batch["pixel_values"].split(1)
        ]
        visual = VisualTokens(
            torch.stack(tiles),
            torch.stack([video[2] for video in perceived]),
            torch.cat([video[3] for video in perceived]),
            torch.cat(starts),
            torch.cat([video[0] for video in perceived]),
            counts,
        )
        names = ("input_ids", "attention_mask", "visual_kind", "frame_ids")
        merged = model.model.merge(*(batch[name] for name in names), visual, batch["labels"])
        assert merged.labels is not None
        hidden = model.model.language_model(
            inputs_embeds=merged.inputs_embeds, attention_mask=merged.attention_mask, use_cache=False
        ).last_hidden_state
        logits = model.lm_head(hidden)[:, :-1].float()
        loss = F.cross_entropy(logits.flatten(0, 1), merged.labels[:, 1:].flatten())
        return loss + model.config.gate_loss_weight * visual.gate_logits_G2.norm(dim=-1).mean()


def measure_steps(recipe: Recipe, runs: int) -> None:
    setup = set_up(recipe)
    batches = [collate([setup.samples[draw] for draw in draws], 0) for draws in list(setup.plan)[: 2 * MICRO_BATCHES]]
    batches = [batch for batch in batches if "frame_counts" in batch and "pixel_values" in batch]
    models = {"ours": setup.checkpoint.model.train()}
    for attention in PLAIN:
        models[attention] = set_up(replace(recipe, attention=attention)).checkpoint.model.train()
    table = naive.table_of(models["sdpa"].model.perception, 300)

    def step(side: str, batch: Batch) -> Tensor:
        return our_step(models[side], batch) if side == "ours" else plain_step(models[side], batch, table)

    with torch.no_grad():
        losses = {side: [step(side, batch).item() for batch in batches] for side in models}
    worst = max(abs(a - b) / b for side in PLAIN for a, b in zip(losses["ours"], losses[side], strict=True))
    times_s: dict[str, list[float]] = {side: [] for side in models}
    for _ in range(runs):
        for side, model in models.items():
            model.zero_grad()
            started = time.perf_counter()
            for batch in batches:
                step(side, batch).backward()
            times_s[side].append(time.perf_counter() - started)
    tokens = sum(map(tokens_of, batches))
    medians = {side: statistics.median(times) for side, times in times_s.items()}
    print(f"{len(batches)} micro-batches, {tokens} tokens with labels; losses differ by at most {worst:.1e}")
    print("| | s | tokens with labels/s |\n|---|--:|--:|")
    for side, median in medians.items():
        print(f"| {side if side == 'ours' else f'plain padded loop, {side}'} | {median:.2f} | {tokens / median:.0f} |")
    print(f"time of the faster plain loop / ours: {min(medians[side] for side in PLAIN) / medians['ours']:.2f}")


def measure_waiting(recipe: Recipe, folder: Path, steps: int) -> None:
    batching = replace(recipe.batching, workers=2, steps=steps)
    train(replace(recipe, batching=batching, save_every=steps), folder / "run", cpu=True)
    lines = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    waits = [line["data_wait"] for line in lines if "data_wait" in line]
    print(f"wait for data with 2 workers: {waits[0]:.1%} of the first step, then {statistics.mean(waits[1:]):.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="runs of each side (default: 5)")
    parser.add_argument("--steps", type=int, default=20, help="steps of the run that measures the wait (default: 20)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        recipe = make_recipe(Path(name))
        measure_steps(recipe, options.runs)
        measure_waiting(recipe, Path(name), options.steps)


if __name__ == "__main__":
    main()
