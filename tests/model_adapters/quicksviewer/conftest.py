"""The reference's outputs on its tiny checkpoints (tests/data/reference), as cases."""

import importlib.util
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from qsv_eval.model_adapters.quicksviewer import (
    QuicksviewerConfig,
    QuicksviewerForConditionalGeneration,
    load_pretrained,
)
from qsv_eval.model_adapters.quicksviewer.perception import Perception

REFERENCE = Path(__file__).parents[2] / "data" / "reference"
MODELS = ("qwen2", "llama3")
CASES = ("video_2", "video_4", "video_20", "video_61", "image_1", "image_3", "video_multiturn")
# How the reference's added tokens are numbered in its listings.
REFERENCE_PLACEHOLDER = -200


@dataclass
class Case:
    """One conversation that the reference answered, and what it computed on the way."""

    name: str
    facts: dict
    tensors: dict[str, torch.Tensor]
    arrays: dict[str, np.ndarray]

    @property
    def messages(self) -> list[dict]:
        inputs = self.facts["inputs"]
        if self.name.startswith("image"):
            media = [{"type": "image", "image": self.arrays[key]} for key in sorted(self.arrays)]
            return [{"role": "user", "content": [*media, text(inputs["question"])]}]
        frames, times = self.arrays["frames"], inputs["timestamps"]
        rounds = inputs.get("rounds", [inputs.get("question")])
        media = {"type": "video", "video": frames[: len(times)], "timestamps": times}
        turns = [{"role": ("user", "assistant")[i % 2], "content": words} for i, words in enumerate(rounds)]
        return [{"role": "user", "content": [media, text(rounds[0])]}, *turns[1:]]

    def placeholders(self, key: str, token_id: int) -> list[int]:
        return [token_id if id_ == REFERENCE_PLACEHOLDER else id_ for id_ in self.facts[key]]


def text(words: str) -> dict:
    return {"type": "text", "text": words}


def load_case(model: str, name: str) -> Case:
    facts = json.loads((REFERENCE / model / f"{name}.json").read_text())
    arrays = np.load(REFERENCE / "inputs" / Path(facts["inputs"]["file"]).name)
    tensors = load_file(REFERENCE / model / f"{name}.safetensors")
    return Case(name, facts, tensors, dict(arrays))


@pytest.fixture(scope="session")
def reference() -> Path:
    return REFERENCE


@pytest.fixture(scope="session", params=MODELS)
def model_name(request):
    return request.param


@pytest.fixture(scope="session")
def qv(model_name):
    return load_pretrained(REFERENCE / model_name, device="cpu", dtype="float32")


@pytest.fixture(params=CASES)
def case(request, model_name) -> Case:
    return load_case(model_name, request.param)


@pytest.fixture
def train_case(model_name) -> Case:
    return load_case(model_name, "train")


@pytest.fixture
def video_case(model_name) -> Case:
    return load_case(model_name, "video_20")


@pytest.fixture(scope="session")
def qwen():
    """For what does not depend on the language model: one of the two, in float32."""
    return load_pretrained(REFERENCE / "qwen2", device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def naive():
    """Perception written plainly from the spec."""
    return beside("naive")


@pytest.fixture(scope="session")
def live_bytes():
    """The counter of what tensors hold."""
    return beside("memory").LiveBytes


def beside(name):
    """Import a file of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def released(tmp_path):
    """Make a released checkpoint's folder with other files in some places; None leaves a file out."""

    def make(name="checkpoint", **changes):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        for file in (REFERENCE / "qwen2").iterdir():
            if file.name in CHECKPOINT_FILES and changes.get(file.stem, file) is not None:
                os.symlink(file, folder / file.name)
        for stem, change in changes.items():
            if change is not None:
                file = folder / f"{stem}.json"
                values = {**json.loads(file.read_text()), **change}
                file.unlink()
                file.write_text(json.dumps(values))
        return folder

    return make


CHECKPOINT_FILES = (
    *("config.json", "generation_config.json", "model.safetensors", "preprocessor_config.json", "vision_tower"),
    *("special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"),
)


def small_config(vision_width=40, width=64, **changes):
    text_config = {"model_type": "qwen2", "vocab_size": 1000, "hidden_size": width, "intermediate_size": 64}
    text_config |= {"num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2}
    vision_config = {"hidden_size": vision_width, "intermediate_size": 32, "num_hidden_layers": 1}
    vision_config |= {"num_attention_heads": 2, "image_size": 84, "patch_size": 14}
    values = {"grid_size": 6, "num_queries": 9, "resampler_heads": 4, **changes}
    return QuicksviewerConfig(text_config=text_config, vision_config=vision_config, **values)


@pytest.fixture(scope="session")
def small_perception():
    """Make a perception whose `encode` takes features for pixels; every parameter matters."""

    def make(device="cpu", **config):
        torch.manual_seed(0)
        perception = Perception(small_config(**config))
        for name, parameter in perception.named_parameters():
            scale, shift = (0.1, 1.0) if name.endswith("norm.weight") or ".ln_" in name else (0.3, 0.0)
            torch.nn.init.normal_(parameter, shift, scale)
        perception.encode = lambda feats_TNd: feats_TNd
        return perception.to(device)

    return make


@pytest.fixture(scope="session")
def random_clip():
    """Make frames of a few seconds each with a scene of its own, uint8 (T, 64, 64, 3)."""

    def make(frames, seed=0):
        rng = np.random.default_rng(seed)
        scenes = rng.integers(0, 256, (frames // 3 + 1, 4, 4, 3))
        picture = scenes.repeat(16, 1).repeat(16, 2)[np.arange(frames) // 3]
        return (picture * 0.8 + rng.integers(0, 50, picture.shape)).astype(np.uint8)

    return make


@pytest.fixture(scope="session")
def small_model():
    torch.manual_seed(0)
    return QuicksviewerForConditionalGeneration(small_config()).eval()
