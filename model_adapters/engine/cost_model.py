"""What a question will take, guessed before anything is read: frames, tokens, bytes and seconds.

The seconds are those of a nominal machine; only their proportions matter, for the balance between processes. The bytes
are arithmetic over the model's configuration, so they can be had for a 7B model on a laptop.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.frames import ClipRequest, FrameRule, VideoInfo
from qsv_eval.model_adapters.quicksviewer.configuration import QuicksviewerConfig

__all__ = ["CostEstimate", "UnitCosts", "describe_bytes", "frame_indices"]

_TILES = 9
"""Tiles of an image at the most: itself and the eight of the longest canvas."""
_WORDS_OF_A_TIME = 5
"""Tokens of a timestamp such as "1234.5"."""
_KEYFRAME_GAP = 250
"""x264's default. Half of it is decoded on the way to a frame, at most up to the next wanted one."""


class CostEstimate(NamedTuple):
    """Of one conversation's media."""

    frames: int = 0
    tokens: int = 0
    """Tokens that the language model reads for them."""
    decode_s: float = 0.0

    def __add__(self, other: "CostEstimate") -> "CostEstimate":  # type: ignore[override]
        return CostEstimate(self.frames + other.frames, self.tokens + other.tokens, self.decode_s + other.decode_s)


@dataclass(frozen=True)
class UnitCosts:
    """What one frame, one token and one pixel cost with a model."""

    queries: int
    frame_bytes: int
    """A decoded frame in main memory."""
    summary_bytes: int
    """What perception keeps of a frame."""
    cache_bytes: int
    """Keys and values of one token."""
    frame_s: float
    token_s: float
    readers: int = 1
    pixel_s: float = 1e-9
    resize_s: float = 6e-3

    @classmethod
    def of(
        cls, config: QuicksviewerConfig, *, frame_size: int, value_bytes: int, flops: float = 1e14, readers: int = 1
    ) -> "UnitCosts":
        """Work them out for a model; `flops` a second are what its device does, `value_bytes` its floating type."""
        text, vision = config.text_config, config.vision_config
        head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        layer = text.hidden_size * (2 * text.hidden_size + 2 * text.num_key_value_heads * head)
        layer += 3 * text.hidden_size * text.intermediate_size
        tower = 4 * vision.hidden_size**2 + 2 * vision.hidden_size * vision.intermediate_size
        patches = (vision.image_size // vision.patch_size) ** 2
        seeing = 2 * patches * vision.num_hidden_layers * (tower + 2 * patches * vision.hidden_size)
        heads = config.resampler_heads or 1
        summary = config.num_queries * (text.hidden_size + vision.hidden_size) * value_bytes
        return cls(
            queries=config.num_queries,
            frame_bytes=3 * frame_size**2,
            summary_bytes=summary + 4 * (vision.hidden_size + config.num_queries * heads),
            cache_bytes=2 * text.num_hidden_layers * text.num_key_value_heads * head * value_bytes,
            frame_s=seeing / flops,
            token_s=2 * text.num_hidden_layers * layer / flops,
            readers=max(readers, 1),
        )

    def video(
        self,
        facts: VideoInfo | None,
        rule: FrameRule,
        cube_rule: CubeRule,
        start_s: float | None = None,
        end_s: float | None = None,
    ) -> CostEstimate:
        """Guess for one video; nothing where its header could not be read, since reading it will fail too."""
        if facts is None or facts.fps <= 0:
            return CostEstimate()
        frames = max(len(frame_indices(facts, ClipRequest(rule, start_s, end_s))), 1)
        cubes = cube_rule.cubes(frames)
        passed = min(facts.frame_count, frames * _KEYFRAME_GAP // 2)
        decode_s = passed * facts.width * facts.height * self.pixel_s + frames * self.resize_s
        return CostEstimate(frames, (cubes + 1) * self.queries + cubes * _WORDS_OF_A_TIME, decode_s)

    def frames(self, facts: VideoInfo | None, requests: Iterable[ClipRequest]) -> int:
        """Return how many frames of a video are wanted by any of the requests."""
        if facts is None or facts.fps <= 0:
            return 0
        return max(len({index for request in requests for index in frame_indices(facts, request)}), 1)

    def image(self) -> CostEstimate:
        """Guess for one image: as many tiles as there can be."""
        return CostEstimate(_TILES, _TILES * self.queries)

    def seconds(self, expected: CostEstimate, questions: int, words: int = 200) -> float:
        """Return how long it takes to look and to answer: the model works while the readers read on."""
        model_s = expected.frames * self.frame_s + (expected.tokens + questions * words) * self.token_s
        return max(model_s, expected.decode_s / self.readers)


def frame_indices(facts: VideoInfo, request: ClipRequest) -> list[int]:
    """Return which frames of a video a request is going to take, as far as its header says."""
    end_s = request.end_s
    if end_s is not None and end_s > facts.duration_s:
        end_s = None  # as the reader has it
    return request.rule.indices(facts.fps, facts.frame_count, request.start_s, end_s)


def describe_bytes(costs: UnitCosts, frames: int, cubes: int, questions_at_once: int) -> str:
    """Say in a line what a video of so many frames and cubes takes: in main memory, and beside the weights."""
    tokens = (cubes + 1) * costs.queries + cubes * _WORDS_OF_A_TIME
    cache = tokens * costs.cache_bytes * (1 + questions_at_once)
    return (
        f"{frames} frames, {cubes} cubes, about {tokens:,} tokens: {_size(frames * costs.frame_bytes)} of pixels in "
        f"main memory, {_size(frames * costs.summary_bytes)} of summaries and {_size(cache)} of cache on its device"
    )


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
