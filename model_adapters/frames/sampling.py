"""Frame sampling: at most `max_frames` frames of a video, picked at a rate of `fps`, by one of three rules.

`reference` is the sampling of the released model, roundings included, so scores compare with the paper's. `blocks`
takes the middle of every 1/fps seconds and accepts any rate. `nested` thins `blocks` so that smaller frame sets are
subsets of larger ones, so a sweep over limits reads no more frames than its largest variant.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from qsv_eval.model_adapters.errors import SetupError

__all__ = ["FrameRule", "RuleName", "nested_subsample", "subsample"]

RuleName = Literal["reference", "blocks", "nested"]


@dataclass(frozen=True)
class FrameRule:
    """Rate, limit and rule of frame sampling; hashable, and part of the protocol."""

    fps: float = 1.0
    """Frames per second before thinning; at most those of the video."""
    max_frames: int | None = 420
    """Longer lists are thinned to this length; None keeps all frames."""
    name: RuleName = "reference"
    """`reference`: the released model's sampling. `blocks`: the middle of every 1/fps seconds. `nested`: `blocks`,
    thinned so that smaller frame sets are subsets of larger ones."""

    def __post_init__(self) -> None:
        if self.name not in get_args(RuleName):
            raise SetupError(f"frame_rule {self.name!r} is unknown: use one of {', '.join(get_args(RuleName))}")
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise SetupError(f"fps {self.fps} is not a rate: use a number above 0")
        if self.name == "reference" and self.fps <= 0.5:
            raise SetupError(
                f"fps {self.fps} gives no frames, because the frame rule 'reference' rounds it to whole frames per "
                "second: use more than 0.5, or the frame rule 'blocks' (--frame-rule blocks), which takes any rate"
            )
        if self.max_frames is not None and not (isinstance(self.max_frames, int) and self.max_frames >= 1):
            raise SetupError(f"max_frames {self.max_frames!r} is not a count: use a whole number from 1, or None")

    def indices(
        self, video_fps: float, frame_count: int, start_s: float | None = None, end_s: float | None = None
    ) -> list[int]:
        """Return ascending frame indices in a video of `frame_count` frames at a constant `video_fps`.

        The list of `reference` is exactly the released model's, which is empty for a clip of half a second or less.
        """
        pick = _mid_seconds if self.name == "reference" else _mid_blocks
        picks = pick(min(self.fps, video_fps), video_fps, frame_count, start_s or 0.0, end_s)
        keep = nested_subsample if self.name == "nested" else subsample
        kept = range(picks.total) if self.max_frames is None else keep(picks.total, self.max_frames)
        # The reference thins first and then drops indices past the end; the other order picks other frames.
        return [index for index in map(picks.index_at, kept) if index < frame_count]

    def instants(
        self, video_fps: float, frame_count: int, start_s: float | None = None, end_s: float | None = None
    ) -> list[float]:
        """Return the wanted times in seconds: `indices` divided by `video_fps`.

        If the rule picks no frame of a clip that has some, the middle frame is taken. The reference crashes
        there, so no reference score depends on it.
        """
        indices = self.indices(video_fps, frame_count, start_s, end_s)
        if not indices and frame_count > 0:
            indices = [_middle(video_fps, frame_count, start_s or 0.0, end_s)]
        return [index / video_fps for index in indices]


def subsample(count: int, limit: int) -> list[int]:
    """Return indices of at most `limit` (1 or more) of `count` items: the middles of `limit` equal segments."""
    if count <= limit:
        return list(range(count))
    gap = count / limit
    return [int(k * gap + gap / 2) for k in range(limit)]


def nested_subsample(count: int, limit: int) -> list[int]:
    """Return indices of at most `limit` of `count` items; those of a smaller limit are a subset.

    The indices follow the van der Corput sequence: evenly spaced if `limit` is a power of 2, otherwise with gaps of
    two lengths, one twice the other.
    """
    if count <= limit:
        return list(range(count))
    indices: set[int] = set()
    k = 0
    while len(indices) < limit:
        reversed_bits = int(f"{k:b}"[::-1], 2)
        indices.add(reversed_bits * count >> k.bit_length())
        k += 1
    return sorted(indices)


class _Picks(NamedTuple):
    """Frame indices before thinning, computed on demand: a damaged timestamp may make a clip years long."""

    total: int
    index_at: Callable[[int], int]


def _mid_seconds(fps: float, video_fps: float, frame_count: int, start_s: float, end_s: float | None) -> _Picks:
    """Cut time into blocks of `round(video_fps)` frames and take the middle of `round(fps)` parts of each.

    The order of the float operations and the rounding of halves to even are the reference's: both move indices.
    """
    first = round(video_fps * start_s)
    last = frame_count - 1 if end_s is None else round(video_fps * end_s)
    if video_fps <= 0.5:
        # A slide show, of which all frames are taken. The reference divides by round(video_fps) = 0 here.
        return _Picks(max(0, last + 1 - first), lambda k: first + k)
    blocks = range(first, last + 1, round(video_fps))
    parts = round(fps)

    def index_at(k: int) -> int:
        block, part = divmod(k, parts)
        return int(blocks[block] + part * video_fps / fps + video_fps / fps / 2)

    return _Picks(len(blocks) * parts, index_at)


def _mid_blocks(fps: float, video_fps: float, frame_count: int, start_s: float, end_s: float | None) -> _Picks:
    """Cut time into blocks of 1/fps seconds and take each middle that lies before the end."""
    clip_end_s = frame_count / video_fps
    length_s = (clip_end_s if end_s is None else min(end_s, clip_end_s)) - start_s
    blocks = max(0, math.ceil(length_s * fps - 0.5))
    return _Picks(blocks, lambda block: int(video_fps * start_s + (block + 0.5) * video_fps / fps))


def _middle(video_fps: float, frame_count: int, start_s: float, end_s: float | None) -> int:
    """Return the index of a clip's middle frame."""
    clip_last = frame_count - 1
    first = min(round(video_fps * start_s), clip_last)
    last = clip_last if end_s is None else min(round(video_fps * end_s), clip_last)
    return (first + last) // 2
