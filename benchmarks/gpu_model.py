"""Models with random weights and conversations for benchmarks/gpu.py."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from random_checkpoint import byte_tokenizer

from qsv_eval.model_adapters.quicksviewer import (
    Quicksviewer,
    QuicksviewerConfig,
    QuicksviewerForConditionalGeneration,
    QuicksviewerImageProcessor,
    QuicksviewerProcessor,
    QuicksviewerVideoProcessor,
    VideoInput,
)
from qsv_eval.model_adapters.quicksviewer.checkpoint import LoadedCheckpoint
from qsv_eval.model_adapters.quicksviewer.messages import DecodedVideo
from qsv_eval.model_adapters.quicksviewer.prompt_tokens import PromptTokens

__all__ = ["SIZES", "Size", "clip_of", "make_model", "prompt_of", "save_model"]

QUESTION = "What happens in this video?"


class Size(NamedTuple):
    """Configuration of a model, and the lengths of its inputs."""

    text: dict[str, Any]
    vision: dict[str, Any]
    rest: dict[str, Any]
    frames: int
    """Number of frames of the longest video."""
    tokens: int
    """Number of tokens in the measurement of attention."""

    def shallow(self, layers: int = 2) -> "Size":
        """Return the same widths with few layers, so that several copies fit on one GPU."""
        few = {"num_hidden_layers": layers}
        return self._replace(text=self.text | few, vision=self.vision | few, frames=min(self.frames, 20))


SIZES = {
    "7b": Size(
        text={
            "model_type": "qwen2",
            "vocab_size": 152064,
            "hidden_size": 3584,
            "intermediate_size": 18944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "max_position_embeddings": 32768,
        },
        vision={
            "hidden_size": 1152,
            "image_size": 384,
            "intermediate_size": 4304,
            "num_attention_heads": 16,
            "num_hidden_layers": 27,
            "patch_size": 14,
        },
        rest={},
        frames=420,
        tokens=6000,
    ),
    "tiny": Size(
        text={
            "model_type": "qwen2",
            "vocab_size": 512,
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 32768,
        },
        vision={
            "hidden_size": 64,
            "image_size": 96,
            "intermediate_size": 128,
            "num_attention_heads": 4,
            "num_hidden_layers": 2,
            "patch_size": 8,
        },
        rest={"grid_size": 12, "num_queries": 16},
        frames=24,
        tokens=200,
    ),
}
"""Qwen2.5-7B with SigLIP so400m, as released, and a tiny model for tests of the script."""


def make_model(size: Size, device: torch.device, dtype: torch.dtype = torch.bfloat16) -> Quicksviewer:
    """Make a model directly on the device."""
    tokenizer = byte_tokenizer()
    side = size.vision["image_size"]
    processor = QuicksviewerProcessor(
        QuicksviewerImageProcessor(side), tokenizer, QuicksviewerVideoProcessor(side), thumbnail=True
    )
    # The embedding table is larger than the tokenizer, so the placeholder has a row; it is never embedded.
    placeholder = {"image_token_id": processor.image_token_id}
    config = QuicksviewerConfig(
        text_config=dict(size.text), vision_config=dict(size.vision), **size.rest, **placeholder
    )
    torch.manual_seed(0)
    with torch.device(device):
        model = QuicksviewerForConditionalGeneration._from_config(config, dtype=dtype).eval()
    model.to(dtype)
    return Quicksviewer(LoadedCheckpoint(model, processor))


def save_model(qv: Quicksviewer, folder: Path) -> Path:
    """Save a model with its processor, for options that apply only when loading."""
    qv.model.save_pretrained(folder)
    qv.processor.save_pretrained(folder)
    return folder


def clip_of(qv: Quicksviewer, frames: int) -> list[dict[str, Any]]:
    """Return a question about random frames that change every few seconds."""
    side = qv.processor.video_processor.frame_size
    rng = np.random.default_rng(0)
    scenes = rng.integers(0, 256, (frames // 5 + 1, 1, 1, 3), dtype=np.uint8)
    noise = rng.integers(0, 40, (frames, side, side, 1), dtype=np.uint8)
    pictures = scenes[np.arange(frames) // 5] // 2 + noise
    video = {"type": "video", "video": VideoInput(pictures, [0.5 + second for second in range(frames)])}
    return [{"role": "user", "content": [video, {"type": "text", "text": QUESTION}]}]


def prompt_of(qv: Quicksviewer, frames: int) -> PromptTokens:
    """Return the tokens of the same question, before merging."""
    video = {"type": "video", "video": DecodedVideo(frames, [0.5 + second for second in range(frames)])}
    return qv.processor.tokens([{"role": "user", "content": [video, {"type": "text", "text": QUESTION}]}])
