"""What a sample costs, before anything of it is opened: tokens of the language model, and frames of the tower.

Text is estimated from its bytes. What the JSON does not say of images and videos is taken to be the most it can be.
"""

from typing import NamedTuple

import numpy as np

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.frames import FrameRule
from qsv_eval.model_adapters.quicksviewer import QuicksviewerConfig
from qsv_eval.training.data.readers import SizeHint

__all__ = ["Size", "Sizing", "costs", "frame_cost"]

_BYTES_A_TOKEN = 3.5
"""Less than texts have, 4 to 4.5, and so with room for the template's tokens around each turn."""
_TOKENS_A_TIMESTAMP = 4
_TILES_AT_MOST = 5
_TURN_TOKENS = 16


class Size(NamedTuple):
    """Of a sample."""

    tokens: int
    """After merging, visual ones included."""
    frames: int
    """Frames and tiles that the tower sees."""


class Sizing(NamedTuple):
    """How sizes follow from hints."""

    queries: int
    cube_rule: CubeRule
    thumbnail: bool
    rule: FrameRule

    @classmethod
    def of(cls, config: QuicksviewerConfig, rule: FrameRule) -> "Sizing":
        """Take what decides sizes from a model's configuration."""
        return cls(config.num_queries, config.cube_rule, config.use_thumbnail, rule)

    def size(self, hint: SizeHint) -> Size:
        """Return the size of a sample, or the most that it can be."""
        text = _TURN_TOKENS + int(hint.text_bytes / _BYTES_A_TOKEN)
        if not hint.has_video:
            tiles = hint.images * _TILES_AT_MOST
            return Size(text + tiles * (self.queries + 2), tiles)
        frames = self._frames(hint)
        cubes = self.cube_rule.cubes(frames)
        blocks = cubes + self.thumbnail
        return Size(text + blocks * self.queries + cubes * _TOKENS_A_TIMESTAMP, frames)

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
    """Return the tower's arithmetic on a frame, in tokens of the language model (FLOPs by parameters, spec 4.5)."""
    text, vision = config.text_config, config.vision_config
    patches = (vision.image_size // vision.patch_size) ** 2
    layer = 4 * vision.hidden_size**2 + 2 * vision.hidden_size * vision.intermediate_size
    tower = vision.num_hidden_layers * patches * (layer + 2 * patches * vision.hidden_size)
    grouped = text.num_key_value_heads / text.num_attention_heads
    block = (2 + 2 * grouped) * text.hidden_size**2 + 3 * text.hidden_size * text.intermediate_size
    return float(tower / (text.num_hidden_layers * block + text.hidden_size * text.vocab_size))


def costs(sizes: np.ndarray, per_frame: float) -> np.ndarray:
    """Return costs in tokens of sizes (N, 2)."""
    return np.asarray(sizes[:, 0] + np.ceil(sizes[:, 1] * per_frame), np.int64)
