"""Estimated cost of a sample in language model tokens and vision tower frames, before its media are opened.

Text is estimated from its bytes. Where the JSON lacks the size of images or videos, the maximum is assumed.
"""

from typing import NamedTuple

import numpy as np

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.frames import FrameRule
from qsv_eval.model_adapters.quicksviewer import QuicksviewerConfig
from qsv_eval.training.data.readers import SizeHint

__all__ = ["Size", "Sizing", "costs", "frame_cost"]

_BYTES_PER_TOKEN = 3.5
"""Lower than the usual 4 to 4.5, which leaves room for the template's tokens around each turn."""
_TOKENS_PER_TIMESTAMP = 4
_MAX_TILES = 5
_TURN_TOKENS = 16


class Size(NamedTuple):
    """Tokens and frames of one sample."""

    tokens: int
    """Tokens after merging, visual tokens included."""
    frames: int
    """Frames and image tiles encoded by the vision tower."""


class Sizing(NamedTuple):
    """Model settings that determine the size of a sample."""

    queries: int
    cube_rule: CubeRule
    thumbnail: bool
    rule: FrameRule

    @classmethod
    def of(cls, config: QuicksviewerConfig, rule: FrameRule) -> "Sizing":
        """Read the settings from a model's configuration."""
        return cls(config.num_queries, config.cube_rule, config.use_thumbnail, rule)

    def size(self, hint: SizeHint) -> Size:
        """Return an upper bound of a sample's size."""
        text = _TURN_TOKENS + int(hint.text_bytes / _BYTES_PER_TOKEN)
        if not hint.has_video:
            tiles = hint.images * _MAX_TILES
            return Size(text + tiles * (self.queries + 2), tiles)
        frames = self._frames(hint)
        cubes = self.cube_rule.cubes(frames)
        blocks = cubes + self.thumbnail
        return Size(text + blocks * self.queries + cubes * _TOKENS_PER_TIMESTAMP, frames)

    def _frames(self, hint: SizeHint) -> int:
        limit = self.rule.max_frames
        if hint.frames is not None:
            known = hint.frames
        elif hint.seconds is not None:
            known = max(round(hint.seconds * self.rule.fps), 1)
        else:
            known = limit or 1
        return min(known, limit or known)


def frame_cost(config: QuicksviewerConfig) -> float:
    """Return the vision tower's FLOPs for a frame, divided by the language model's FLOPs for a token."""
    text, vision = config.text_config, config.vision_config
    patches = (vision.image_size // vision.patch_size) ** 2
    layer = 4 * vision.hidden_size**2 + 2 * vision.hidden_size * vision.intermediate_size
    tower = vision.num_hidden_layers * patches * (layer + 2 * patches * vision.hidden_size)
    grouped = text.num_key_value_heads / text.num_attention_heads
    block = (2 + 2 * grouped) * text.hidden_size**2 + 3 * text.hidden_size * text.intermediate_size
    return float(tower / (text.num_hidden_layers * block + text.hidden_size * text.vocab_size))


def costs(sizes: np.ndarray, per_frame: float) -> np.ndarray:
    """Return the costs in tokens of sizes (N, 2): tokens plus `per_frame` tokens for each frame."""
    return np.asarray(sizes[:, 0] + np.ceil(sizes[:, 1] * per_frame), np.int64)
