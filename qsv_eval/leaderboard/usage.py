"""What the answers to a task rest on and what they cost, as a results file says it under `usage`."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

__all__ = ["PARTS", "Usage", "usage_of"]

PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "vision tower": ("vit",),
    "perception": ("cubing",),
    "language model": ("prefill", "generation"),
    "waiting for frames": ("wait",),
    "other": ("other",),
}
"""The parts of an answer's time, each with its stages of `model_adapters.stopwatch`; decoding goes on beside them."""


class Usage(NamedTuple):
    """What the answers to one task of a run took."""

    answers: int
    frames: float
    """Frames really used of a question: the mean."""
    frames_p5: float
    frames_p95: float
    cubes: float
    visual_tokens: float
    """Visual tokens of a question: the mean."""
    prompt_tokens: float
    """All tokens of a question's prompt: the mean."""
    tokens_per_frame: float | None
    """Visual tokens by frames, both summed up over all answers; None where no frames were used."""
    read_s: float
    """Seconds of decoding for a question, in the background."""
    seconds: Mapping[str, float]
    """Seconds of the answering thread for a question, by `PARTS`."""

    @property
    def total_s(self) -> float:
        """Seconds of the answering thread for a question."""
        return sum(self.seconds.values())


def usage_of(stored: Mapping[str, Any]) -> Usage | None:
    """Read what `engine.usage.summarise_use` wrote; None where there is nothing."""
    if not stored:
        return None
    frames, stages = stored["frames"], stored["seconds"]
    return Usage(
        frames=frames["mean"],
        frames_p5=frames["p5"],
        frames_p95=frames["p95"],
        seconds={name: sum(stages.get(one, 0.0) for one in of) for name, of in PARTS.items()},
        **{
            name: stored[name]
            for name in ("answers", "cubes", "visual_tokens", "prompt_tokens", "tokens_per_frame", "read_s")
        },
    )
