"""Fixtures for training: small generated shards of texts, single scenes and clips, recipes, and starting models."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qsv_eval.model_adapters.quicksviewer.prompt_tokens import VISION_TOKENS
from qsv_eval.training.recipe import Batching, Noise, Optimiser, Rates, Recipe, Start


@pytest.fixture(scope="session")
def shards(tmp_path_factory) -> Path:
    from qsv_eval.tiny.clip_data import pack, samplers
    from qsv_eval.tiny.initial_model import SIDE

    folder = tmp_path_factory.mktemp("shards")
    draws = samplers(SIDE, questions=2)
    for kind in ("texts", "glimpses", "clips"):
        pack(folder / kind, 12, draws[kind])
    return folder


@pytest.fixture(scope="session")
def recipe(start, shards) -> Recipe:
    """A recipe of four steps on texts, single scenes and clips, in float32."""
    mixture = ";".join(f"{shards}/{kind}/shard-000000.tar" for kind in ("texts", "glimpses", "clips"))
    return Recipe(
        name="test",
        rates=Rates(cubing=1e-3, resampler=1e-3, vision_tower=1e-3, language_model=1e-3),
        start=Start(str(start)),
        mixture=mixture,
        noise=Noise(),
        optimiser=Optimiser(warmup=1),
        batching=Batching(micro_batches=2, tokens=600, frame_cost=0, steps=4, workers=0),
        dtype="float32",
        attention="sdpa",
        chunk_frames=16,
        save_every=2,
    )


@pytest.fixture(scope="session")
def reference_start(data) -> Path:
    """A tiny checkpoint of the reference, with untied embeddings and head."""
    return data / "reference" / "qwen2"


@pytest.fixture(scope="session")
def only_videos(recipe, shards) -> Recipe:
    return replace(recipe, mixture=f"{shards}/clips/shard-000000.tar")


@pytest.fixture(scope="session")
def make_start_models(tmp_path_factory, data) -> Callable[[Any], tuple[str, str]]:
    """Return a function that saves a small language model and vision tower in a dtype and returns their folders."""
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM, SiglipVisionConfig, SiglipVisionModel

    def make(dtype: Any) -> tuple[str, str]:
        import torch

        folder = tmp_path_factory.mktemp("models")
        tokenizer = AutoTokenizer.from_pretrained(data / "reference" / "qwen2")
        rows = len(tokenizer) - len(VISION_TOKENS) + 40  # a table with spare rows, like Qwen2.5's
        sizes = {"hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2, "intermediate_size": 96}
        torch.manual_seed(0)
        language = Qwen2Config(
            vocab_size=max(rows, len(tokenizer)), num_key_value_heads=2, tie_word_embeddings=False, **sizes
        )
        Qwen2ForCausalLM(language).to(dtype).save_pretrained(folder / "language")
        tokenizer.save_pretrained(folder / "language")
        tower = SiglipVisionModel(SiglipVisionConfig(image_size=56, patch_size=14, **sizes))
        tower.to(dtype).save_pretrained(folder / "vision")
        return str(folder / "language"), str(folder / "vision")

    return make
