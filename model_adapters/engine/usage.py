"""What the answers of a task took, whether they were given in this run or known from an earlier one."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from qsv_eval.model_adapters.engine.journal import Record
from qsv_eval.model_adapters.stopwatch import STAGES

__all__ = ["Use", "summarise_use"]


class Use(NamedTuple):
    """What one answer took."""

    frames: int = 0
    """Over all of its videos, as the next two."""
    cubes: int = 0
    visual_tokens: int = 0
    """With those of images and thumbnails."""
    prompt_tokens: int = 0
    new_tokens: int = 0
    seconds: Mapping[str, float] = {}
    """On the answering thread by stage; what several questions shared is divided among them."""
    read_s: float = 0.0
    """Of reading its files, in the background; likewise divided."""

    @classmethod
    def of(cls, record: Record) -> "Use":
        """Take it from a record."""
        frames = sum(len(video.timestamps_s) for video in record.videos)
        cubes = sum(len(video.cubes) for video in record.videos)
        same = {name: getattr(record, name) for name in cls._fields if name not in ("frames", "cubes")}
        return cls(frames=frames, cubes=cubes, **same)


def summarise_use(uses: Sequence[Use]) -> dict[str, Any]:
    """Sum up what a task's answers took.

    Keys: `answers`; `frames` an answer rests on, as `mean`, `p5` and `p95`; means of `cubes`, `visual_tokens`,
    `prompt_tokens`, `new_tokens` and `read_s`; `tokens_per_frame`, all visual tokens by all frames (None without
    frames); `seconds`, the mean by stage. Empty where there are no answers.
    """
    if not uses:
        return {}
    frames = np.array([use.frames for use in uses])
    means = {name: float(np.mean([getattr(use, name) for use in uses])) for name in _MEANS}
    seconds = {stage: float(np.mean([use.seconds.get(stage, 0.0) for use in uses])) for stage in STAGES}
    return {
        "answers": len(uses),
        "frames": {
            "mean": float(frames.mean()),
            "p5": float(np.percentile(frames, 5)),
            "p95": float(np.percentile(frames, 95)),
        },
        **means,
        "tokens_per_frame": sum(use.visual_tokens for use in uses) / int(frames.sum()) if frames.any() else None,
        "seconds": seconds,
    }


_MEANS = ("cubes", "visual_tokens", "prompt_tokens", "new_tokens", "read_s")
