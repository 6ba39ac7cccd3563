"""Small data for training, drawn here: texts, single scenes and clips, and the beginning of the tiny model."""

from dataclasses import replace
from pathlib import Path

import pytest

from qsv_eval.training.recipe import Batching, Noise, Optimiser, Rates, Recipe, Start


@pytest.fixture(scope="session")
def shards(tmp_path_factory) -> Path:
    from qsv_eval.training.tiny.clips import pack, samplers
    from qsv_eval.training.tiny.start import SIDE

    folder = tmp_path_factory.mktemp("shards")
    draws = samplers(SIDE, questions=2)
    for kind in ("texts", "glimpses", "clips"):
        pack(folder / kind, 12, draws[kind])
    return folder


@pytest.fixture(scope="session")
def recipe(start, shards) -> Recipe:
    """Four steps on a bit of everything, in float32."""
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
    """A tiny checkpoint of the reference, whose head is its own."""
    return data / "reference" / "qwen2"


@pytest.fixture(scope="session")
def only_videos(recipe, shards) -> Recipe:
    return replace(recipe, mixture=f"{shards}/clips/shard-000000.tar")
