"""Recipes of the three training stages (arXiv 2504.15270, Table 1), with the paper's or the scripts' settings.

The published scripts train other parts than the paper says: never the vision tower, in the first stage all embeddings,
in the second the head. Here both presets train the parts that the paper says.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from qsv_eval.training.recipe import Batching, Noise, Rates, Recipe, Start

__all__ = ["STAGES", "Backbone", "Preset", "stage1", "stage2", "stage3"]

Preset = Literal["paper", "script"]
Backbone = Literal["qwen2", "llama3"]

_LANGUAGE_MODELS = {"qwen2": "Qwen/Qwen2.5-7B-Instruct", "llama3": "meta-llama/Llama-3.1-8B-Instruct"}
_VISION_TOWER = "google/siglip-so400m-patch14-384"


def stage1(backbone: Backbone = "qwen2", preset: Preset = "paper") -> Recipe:
    """Return the alignment recipe: trains cubing network, resampler and the embeddings of the eight new tokens."""
    return Recipe(
        name="stage1",
        start=Start(language_model=_LANGUAGE_MODELS[backbone], vision_tower=_VISION_TOWER),
        rates=Rates(cubing=1e-4, resampler=1e-4, new_tokens=1e-4),
        noise=Noise(ratio=0.8 if preset == "paper" else 0.6),
        save_every=100,
    )


def stage2(backbone: Backbone = "qwen2", preset: Preset = "paper") -> Recipe:
    """Return the pre-training recipe: trains the vision tower too; starts from the result of stage 1."""
    rate = 2e-5 if preset == "paper" else 1e-5
    return Recipe(
        name="stage2",
        rates=Rates(cubing=rate, resampler=rate, new_tokens=rate, vision_tower=rate),
        batching=Batching(micro_batches=40),
        save_every=500,
    )


def stage3(backbone: Backbone = "qwen2", preset: Preset = "paper") -> Recipe:
    """Return the instruction tuning recipe: trains the whole model; starts from the result of stage 2."""
    recipe = Recipe(
        name="stage3",
        rates=Rates(cubing=1e-5, resampler=1e-5, vision_tower=1e-5, language_model=1e-5),
        max_length=32_768,
        save_every=200,
    )
    return recipe if preset == "paper" else replace(recipe, max_frames=480)


STAGES: dict[str, Callable[[Backbone, Preset], Recipe]] = {"stage1": stage1, "stage2": stage2, "stage3": stage3}
