"""Small Quicksviewer configurations and inputs for the test mixins of transformers."""

from typing import Any

import torch
from torch import Tensor

from qsv_eval.model_adapters.quicksviewer.configuration import QuicksviewerConfig
from qsv_eval.model_adapters.quicksviewer.merging import VisualKind

VOCABULARY = 99
IMAGE_TOKEN = VOCABULARY
SIDE = 16
QUERIES = 4


class QuicksviewerModelTester:
    """A configuration with a language model of the given type, and a batch of rows with text and one visual input each."""

    batch_size = 3
    num_hidden_layers = 2
    num_attention_heads = 4
    hidden_size = 32
    is_training = True

    def __init__(self, text_model: str) -> None:
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

    def get_config(self) -> QuicksviewerConfig:
        return QuicksviewerConfig(
            text_config=dict(self.text_config),
            vision_config=dict(self.vision_config),
            grid_size=4,
            num_queries=QUERIES,
            frames_per_cube=2,
        )

    @property
    def seq_length(self) -> int:
        """Tokens of a row once the visual tokens are in their places."""
        raise NotImplementedError

    def row(self) -> list[tuple[int, VisualKind, int]]:
        """Return token, kind and frame of every position of the first row as written."""
        raise NotImplementedError

    def pixels(self) -> dict[str, Tensor]:
        raise NotImplementedError

    def prepare_config_and_inputs_for_common(self) -> tuple[QuicksviewerConfig, dict[str, Tensor]]:
        ids, kinds, frames = (torch.tensor(column) for column in zip(*self.row(), strict=True))
        ids_BL, frames_BL = ids.repeat(self.batch_size, 1), frames.repeat(self.batch_size, 1)
        is_text = ids_BL != IMAGE_TOKEN
        ids_BL[is_text] = torch.randint(3, VOCABULARY, (int(is_text.sum()),))
        in_frame = frames_BL >= 0
        of_row = torch.arange(self.batch_size).unsqueeze(1) * (int(frames.max()) + 1)
        inputs = {
            "input_ids": ids_BL,
            "attention_mask": torch.ones_like(ids_BL),
            "visual_kind": kinds.repeat(self.batch_size, 1),
            "frame_ids": torch.where(in_frame, frames_BL + of_row, frames_BL),
            **self.pixels(),
        }
        return self.get_config(), inputs


def _text(length: int) -> list[tuple[int, VisualKind, int]]:
    return [(0, VisualKind.TEXT, -1)] * length


class ImageTester(QuicksviewerModelTester):
    """Each row holds an image of two tiles."""

    tiles = 2
    text_tokens = 7
    seq_length = text_tokens + tiles * QUERIES

    def row(self) -> list[tuple[int, VisualKind, int]]:
        return [*_text(3), *[(IMAGE_TOKEN, VisualKind.TILE, -1)] * self.tiles, *_text(self.text_tokens - 3)]

    def pixels(self) -> dict[str, Tensor]:
        return {"pixel_values": torch.rand(self.batch_size * self.tiles, 3, SIDE, SIDE) * 2 - 1}


class VideoTester(QuicksviewerModelTester):
    """Each row holds a video: the thumbnail, and frames behind one token of their time, which make half as many cubes."""

    frames = 4
    text_tokens = 5
    seq_length = text_tokens + QUERIES + frames // 2 * (1 + QUERIES)

    def row(self) -> list[tuple[int, VisualKind, int]]:
        frames = [(id_, VisualKind.FRAME, number) for number in range(self.frames) for id_ in (0, IMAGE_TOKEN)]
        return [*_text(2), (IMAGE_TOKEN, VisualKind.THUMBNAIL, -1), *frames, *_text(self.text_tokens - 2)]

    def pixels(self) -> dict[str, Tensor]:
        return {
            "pixel_values_videos": torch.rand(self.batch_size * self.frames, 3, SIDE, SIDE) * 2 - 1,
            "frame_counts": torch.full((self.batch_size,), self.frames),
        }


def labels_for(inputs: dict[str, Any]) -> Tensor:
    """Return labels for a batch: every text token, as long as the row is written."""
    return inputs["input_ids"].masked_fill(inputs["input_ids"] == IMAGE_TOKEN, -100)
