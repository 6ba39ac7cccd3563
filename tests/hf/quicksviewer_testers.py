"""Small Quicksviewer configurations and inputs for the test mixins of transformers."""

from typing import Any

import torch
from torch import Tensor

from qsv_eval.model_adapters.quicksviewer import QuicksviewerConfig, QuicksviewerModel
from qsv_eval.model_adapters.quicksviewer.merge_inputs import IGNORED, VisualKind

VOCABULARY = 99
SIDE = 16

Position = tuple[int, VisualKind, int]
"""Placeholder (1) or text (0), kind and frame of a position of a row as written."""


class QuicksviewerModelTester:
    """A configuration with a language model of the given type, and rows that hold text and one image or video each."""

    num_hidden_layers = 2
    num_attention_heads = 4
    hidden_size = 32
    is_training = True
    base_model_class = QuicksviewerModel

    def __init__(
        self,
        text_model: str,
        *,
        placeholder: int = VOCABULARY,
        batch_size: int = 3,
        visuals: int = 4,
        queries: int = 4,
        frames_per_cube: int = 2,
    ) -> None:
        """Make rows of `visuals` tiles or frames each.

        With one query and one frame a cube, a row is as long as it is written once the visual tokens are in.
        """
        self.placeholder, self.batch_size, self.visuals = placeholder, batch_size, visuals
        self.queries, self.frames_per_cube = queries, frames_per_cube
        self.text_config = {
            "model_type": text_model,
            "vocab_size": VOCABULARY,
            "hidden_size": self.hidden_size,
            "intermediate_size": 37,
            "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_attention_heads,
            "num_key_value_heads": 2,
            "max_position_embeddings": 512,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 2,
        }
        self.vision_config = {
            "hidden_size": 24,
            "intermediate_size": 29,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": SIDE,
            "patch_size": 4,
        }

    @property
    def seq_length(self) -> int:
        """Tokens of a row once the visual tokens are in their places."""
        raise NotImplementedError

    def row(self) -> list[Position]:
        """Return the positions of the first row."""
        raise NotImplementedError

    def pixels(self) -> dict[str, Tensor]:
        """Return the pixels of all rows, behind one another."""
        raise NotImplementedError

    def get_config(self) -> QuicksviewerConfig:
        return QuicksviewerConfig(
            text_config=dict(self.text_config),
            vision_config=dict(self.vision_config),
            image_token_id=self.placeholder,
            grid_size=4,
            num_queries=self.queries,
            frames_per_cube=self.frames_per_cube,
        )

    def prepare_config_and_inputs_for_common(self) -> tuple[QuicksviewerConfig, dict[str, Tensor]]:
        is_placeholder, kinds, frames = (
            torch.tensor(column).repeat(self.batch_size, 1) for column in zip(*self.row(), strict=True)
        )
        text = torch.randint(4, VOCABULARY, kinds.shape)
        frames_before = torch.arange(self.batch_size).unsqueeze(1) * self.visuals
        inputs = {
            "input_ids": text.masked_fill(is_placeholder.bool(), self.placeholder),
            "attention_mask": torch.ones_like(text),
            "visual_kind": kinds,
            "frame_ids": torch.where(frames >= 0, frames + frames_before, frames),
            **self.pixels(),
        }
        return self.get_config(), inputs


def _text(length: int) -> list[Position]:
    return [(0, VisualKind.TEXT, -1)] * length


class ImageTester(QuicksviewerModelTester):
    """Each row holds an image of some tiles."""

    @property
    def seq_length(self) -> int:
        return 7 + self.visuals * self.queries

    def row(self) -> list[Position]:
        return [*_text(3), *[(1, VisualKind.TILE, -1)] * self.visuals, *_text(4)]

    def pixels(self) -> dict[str, Tensor]:
        return {"pixel_values": torch.rand(self.batch_size * self.visuals, 3, SIDE, SIDE) * 2 - 1}


class VideoTester(QuicksviewerModelTester):
    """Each row holds a video: the thumbnail, and frames behind one token of their time."""

    @property
    def seq_length(self) -> int:
        cubes = max(self.visuals // self.frames_per_cube, 1)
        return 5 + self.queries + cubes * (1 + self.queries)

    def row(self) -> list[Position]:
        frames = [(mark, VisualKind.FRAME, number) for number in range(self.visuals) for mark in (0, 1)]
        return [*_text(2), (1, VisualKind.THUMBNAIL, -1), *frames, *_text(3)]

    def pixels(self) -> dict[str, Tensor]:
        return {
            "pixel_values_videos": torch.rand(self.batch_size * self.visuals, 3, SIDE, SIDE) * 2 - 1,
            "frame_counts": torch.full((self.batch_size,), self.visuals),
        }


def labels_for(inputs: dict[str, Any]) -> Tensor:
    """Return labels for a batch: all text is learned."""
    visual = inputs["visual_kind"] != VisualKind.TEXT
    return inputs["input_ids"].masked_fill(visual, IGNORED)
