"""What the answers of a run rest on and what they cost: frames really used, cubes, tokens, seconds.

The journal beside a run's results has all of it, a question a line. It is read as a stream: of each answer a few
numbers stay, and the frames and cubes only of the questions that somebody wants to see.
"""

from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from pydantic import ValidationError

from qsv_eval.model_adapters.engine.journal import Fate, Record

__all__ = ["PARTS", "Usage", "journal_beside", "read_usage", "usage_stated"]

PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "vision tower": ("vit",),
    "perception": ("cubing",),
    "language model": ("prefill", "generation"),
    "waiting for frames": ("wait",),
    "other": ("other",),
}
"""The parts of an answer's time, each with its stages of `model_adapters.stopwatch`; decoding goes on beside them."""

_RUN_FILE, _JOURNAL = "run.json", "journal"


class Usage(NamedTuple):
    """What the answers to one task of a run cost, over all that are in the journal."""

    answers: int
    frames: float
    """Frames really used of a question: the mean."""
    frames_p5: float | None
    frames_p95: float | None
    cubes: float
    visual_tokens: float
    """Visual tokens of a question: the mean."""
    tokens_per_frame: float | None
    """Visual tokens by frames, both summed up over all answers; None where no frames were used."""
    read_s: float
    """Seconds of decoding for a question, in the background."""
    seconds: Mapping[str, float]
    """Seconds of the answering thread for a question, by `PARTS`."""
    peak_bytes: int

    @property
    def total_s(self) -> float:
        """Seconds of the answering thread for a question."""
        return sum(self.seconds.values())


def journal_beside(results: Path) -> Path | None:
    """Return the journal of the run that a results file is of: in its output folder, which may be one further up."""
    for folder in (results.parent, results.parent.parent):
        if (folder / _RUN_FILE).is_file() and (folder / _JOURNAL).is_dir():
            return folder / _JOURNAL
    return None


def read_usage(journal: Path, wanted: Mapping[str, Set[str]]) -> tuple[dict[str, Usage], dict[tuple[str, str], Record]]:
    """Read a journal once.

    Args:
        journal: the folder.
        wanted: ids of the questions whose whole records are to be kept, by their tasks.

    Returns:
        The usage of each task, and the wanted records by task and id. Of a question that was answered several times, as
        after a failure, the last answer counts.
    """
    numbers: dict[str, dict[tuple[str, int], tuple[float, ...]]] = {}
    kept: dict[tuple[str, str], Record] = {}
    for record in _answers(journal):
        numbers.setdefault(record.task, {})[record.sample_id, record.repeat] = _numbers(record)
        if record.repeat == 0 and record.sample_id in wanted.get(record.task, ()):
            kept[record.task, record.sample_id] = record
    return {task: _usage(np.array(list(of.values()))) for task, of in sorted(numbers.items())}, kept


def usage_stated(efficiency: Mapping[str, Any], asked: int | None) -> Usage | None:
    """Return as much as a results file says itself, where no journal is at hand: means over the whole run.

    None where they are not about all `asked` questions: after an interruption they are about the rest only. So it is
    for the caller to see that the run has one task.
    """
    if not asked or efficiency.get("questions") != asked or not efficiency.get("frames"):
        return None
    stages = efficiency["stages"]
    return Usage(
        answers=asked,
        frames=efficiency["frames"],
        frames_p5=None,
        frames_p95=None,
        cubes=efficiency["cubes"],
        visual_tokens=efficiency["visual_tokens"],
        tokens_per_frame=efficiency["visual_tokens"] / efficiency["frames"],
        read_s=efficiency["read_s"] / asked,
        seconds={name: sum(stages.get(one, 0.0) for one in of) / asked for name, of in PARTS.items()},
        peak_bytes=efficiency["peak_bytes"],
    )


def _answers(journal: Path) -> Iterator[Record]:
    for path in sorted(journal.glob("*.jsonl")):
        with path.open("rb") as lines:
            for line in lines:
                try:
                    record = Record.model_validate_json(line)
                except ValidationError:
                    continue  # a share, an end, or a line that a kill has torn
                if record.fate is Fate.ANSWERED:
                    yield record


def _numbers(record: Record) -> tuple[float, ...]:
    frames = sum(len(video.timestamps_s) for video in record.videos)
    cubes = sum(len(video.cubes) for video in record.videos)
    parts = (sum(record.seconds.get(stage, 0.0) for stage in stages) for stages in PARTS.values())
    return (frames, cubes, record.visual_tokens, record.read_s, record.peak_bytes, *parts)


def _usage(numbers: np.ndarray) -> Usage:
    frames, cubes, tokens, read_s, peak, *parts = numbers.T
    return Usage(
        answers=len(numbers),
        frames=float(frames.mean()),
        frames_p5=float(np.percentile(frames, 5)),
        frames_p95=float(np.percentile(frames, 95)),
        cubes=float(cubes.mean()),
        visual_tokens=float(tokens.mean()),
        tokens_per_frame=float(tokens.sum() / frames.sum()) if frames.any() else None,
        read_s=float(read_s.mean()),
        seconds={name: float(part.mean()) for name, part in zip(PARTS, parts, strict=True)},
        peak_bytes=int(peak.max()),
    )
