"""Estimated cost of a request before anything is read: frames, tokens, bytes and seconds.

The seconds are those of a nominal machine: only their proportions matter, for the balance between processes. The bytes
follow from the model's configuration, so a laptop can compute them for a 7B model.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.frames import ClipRequest, FrameRule, VideoInfo
from qsv_eval.model_adapters.plurals import counted
from qsv_eval.model_adapters.quicksviewer.configuration import QuicksviewerConfig

__all__ = ["CostEstimate", "UnitCosts", "describe_bytes", "frame_indices"]

_MAX_TILES = 9
"""Tiles of an image: itself and the eight of the longest canvas."""
_TIMESTAMP_TOKENS = 5
"""Tokens of a timestamp such as "1234.5"."""
_KEYFRAME_GAP = 250
"""Frames between keyframes (x264's default). On average half of them are decoded to reach a frame."""


class CostEstimate(NamedTuple):
    """Estimated cost of a conversation's media."""

    frames: int = 0
    tokens: int = 0
    """Tokens of the prompt."""
    decode_s: float = 0.0

    def __add__(self, other: "CostEstimate") -> "CostEstimate":  # type: ignore[override]
        return CostEstimate(self.frames + other.frames, self.tokens + other.tokens, self.decode_s + other.decode_s)


@dataclass(frozen=True)
class UnitCosts:
    """Cost of one frame, one token and one pixel with a given model."""

    queries: int
    """Visual tokens of a cube."""
    frame_bytes: int
    """Main memory for a decoded frame."""
    summary_bytes: int
    """Device memory for perception's summary of a frame."""
    cache_bytes: int
    """Device memory for the keys and values of a token."""
    frame_s: float
    token_s: float
    readers: int = 1
    pixel_s: float = 1e-9
    resize_s: float = 6e-3

    @classmethod
    def of(
        cls, config: QuicksviewerConfig, *, frame_size: int, value_bytes: int, flops: float = 1e14, readers: int = 1
    ) -> "UnitCosts":
        """Return the costs of a model on a device with `flops` per second; `value_bytes` is the size of its dtype."""
        text, vision = config.text_config, config.vision_config
        head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        layer = text.hidden_size * (2 * text.hidden_size + 2 * text.num_key_value_heads * head)
        layer += 3 * text.hidden_size * text.intermediate_size
        tower = 4 * vision.hidden_size**2 + 2 * vision.hidden_size * vision.intermediate_size
        patches = (vision.image_size // vision.patch_size) ** 2
        frame_flop = 2 * patches * vision.num_hidden_layers * (tower + 2 * patches * vision.hidden_size)
        heads = config.resampler_heads or 1
        summary = config.num_queries * (text.hidden_size + vision.hidden_size) * value_bytes
        return cls(
            queries=config.num_queries,
            frame_bytes=3 * frame_size**2,
            summary_bytes=summary + 4 * (vision.hidden_size + config.num_queries * heads),
            cache_bytes=2 * text.num_hidden_layers * text.num_key_value_heads * head * value_bytes,
            frame_s=frame_flop / flops,
            token_s=2 * text.num_hidden_layers * layer / flops,
            readers=max(readers, 1),
        )

    def video(
        self,
        info: VideoInfo | None,
        rule: FrameRule,
        cube_rule: CubeRule,
        start_s: float | None = None,
        end_s: float | None = None,
    ) -> CostEstimate:
        """Return the cost of a video; nothing if its header is unreadable, since reading its frames will fail too."""
        if info is None or info.fps <= 0:
            return CostEstimate()
        frames = max(len(frame_indices(info, ClipRequest(rule, start_s, end_s))), 1)
        cubes = cube_rule.cubes(frames)
        decoded = min(info.frame_count, frames * _KEYFRAME_GAP // 2)
        decode_s = decoded * info.width * info.height * self.pixel_s + frames * self.resize_s
        return CostEstimate(frames, self._prompt_tokens(cubes), decode_s)

    def frames(self, info: VideoInfo | None, clips: Iterable[ClipRequest]) -> int:
        """Return the number of different frames of a video that the clips use."""
        if info is None or info.fps <= 0:
            return 0
        return max(len({index for clip in clips for index in frame_indices(info, clip)}), 1)

    def image(self) -> CostEstimate:
        """Return the cost of an image with the largest number of tiles."""
        return CostEstimate(_MAX_TILES, _MAX_TILES * self.queries)

    def seconds(self, estimate: CostEstimate, requests: int, text_tokens: int = 200) -> float:
        """Return the seconds to encode the media and answer the requests, while the readers read on."""
        model_s = estimate.frames * self.frame_s + (estimate.tokens + requests * text_tokens) * self.token_s
        return max(model_s, estimate.decode_s / self.readers)

    def _prompt_tokens(self, cubes: int) -> int:
        return (cubes + 1) * self.queries + cubes * _TIMESTAMP_TOKENS


def frame_indices(info: VideoInfo, clip: ClipRequest) -> list[int]:
    """Return the indices of the frames that a clip uses, according to the video's header."""
    end_s = clip.end_s
    if end_s is not None and end_s > info.duration_s:
        end_s = None  # as the reader does
    return clip.rule.indices(info.fps, info.frame_count, clip.start_s, end_s)


def describe_bytes(costs: UnitCosts, frames: int, cubes: int, batch_size: int) -> str:
    """Describe in a line the memory that a video needs besides the weights."""
    tokens = costs._prompt_tokens(cubes)
    cache = tokens * costs.cache_bytes * (1 + batch_size)
    return (
        f"{counted(frames, 'frame')}, {counted(cubes, 'cube')}, about {tokens:,} tokens: "
        f"{_size(frames * costs.frame_bytes)} of pixels in main memory, {_size(frames * costs.summary_bytes)} of "
        f"summaries and {_size(cache)} of key-value cache on the device"
    )


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
