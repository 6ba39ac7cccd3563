"""The reference's outputs on its tiny checkpoints (tests/data/reference), as cases."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

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
    from qsv_eval.model_adapters.quicksviewer import load_pretrained

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
