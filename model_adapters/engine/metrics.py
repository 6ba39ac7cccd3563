"""What a run cost: where the answering threads' time went, how much reading was hidden behind it, how fast it was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from qsv_eval.model_adapters.engine.journal import Record
from qsv_eval.model_adapters.frames.read_job import ReadResult
from qsv_eval.model_adapters.stage_timer import STAGES

__all__ = ["AnswerCost", "Efficiency", "summarise_costs", "summarise_efficiency"]

# MERGED DOCSTRINGS, to be worked into the one above:
# What the answers of a task took, whether they were given in this run or known from an earlier one.


@dataclass
class Efficiency:
    """One process's figures; those of several are put together by `summarise_efficiency`."""

    wall_s: float = 0.0
    """From the start of answering to its end."""
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds of the answering thread by stage."""
    read_s: float = 0.0
    """Seconds of all reads, in the background."""
    reads: int = 0
    reads_from_store: int = 0
    files: set[str] = field(default_factory=set)
    """Video files that were read, by content."""
    frames: int = 0
    cubes: int = 0
    visual_tokens: int = 0
    """The last three over all questions, however many shared them."""
    question_s: list[float] = field(default_factory=list)
    """Of each question its share of the answering thread's time."""
    peak_bytes: int = 0

    def add_stages(self, seconds: Mapping[str, float]) -> None:
        """Count the seconds of a stopwatch."""
        for name, value in seconds.items():
            self.stages[name] = self.stages.get(name, 0.0) + value

    def add_read(self, identity: str, result: ReadResult) -> None:
        """Count a file that was read, or tried to be."""
        self.files.add(identity)
        self.reads += 1
        self.reads_from_store += result.from_store
        self.read_s += result.read_s

    def add_record(self, record: Record) -> None:
        """Count a question that was answered."""
        self.question_s.append(sum(record.seconds.values()))
        self.frames += sum(len(video.timestamps_s) for video in record.videos)
        self.cubes += sum(len(video.cubes) for video in record.videos)
        self.visual_tokens += record.visual_tokens
        self.peak_bytes = max(self.peak_bytes, record.peak_bytes)


def summarise_efficiency(processes: Sequence[Efficiency]) -> dict[str, Any]:
    """Put the figures of all processes together, as they stand in the results file.

    Keys: `processes`; `wall_s` of the slowest; `stages`, seconds summed over processes, and `accounted`, their share of
    the summed wall time; `read_s` in the background; `overlap`, the share of it that no answering thread waited for;
    `reads`, `reads_from_store`, `videos` and `reads_per_video`; `questions`, `questions_per_minute`,
    `videos_per_minute`; `p50_s` and `p95_s`, a question's seconds on an answering thread; `frames`, `cubes` and
    `visual_tokens` a question; `peak_bytes` of the largest process.
    """
    wall_s = max((one.wall_s for one in processes), default=0.0)
    stages = {name: sum(one.stages.get(name, 0.0) for one in processes) for name in STAGES}
    read_s, reads = sum(one.read_s for one in processes), sum(one.reads for one in processes)
    videos = len(set().union(*(one.files for one in processes)))
    seconds = [value for one in processes for value in one.question_s]
    questions = len(seconds)
    return {
        "processes": len(processes),
        "wall_s": wall_s,
        "stages": stages,
        "accounted": _ratio(sum(stages.values()), sum(one.wall_s for one in processes)),
        "read_s": read_s,
        "overlap": None if not read_s else max(0.0, 1 - stages["wait"] / read_s),
        "reads": reads,
        "reads_from_store": sum(one.reads_from_store for one in processes),
        "videos": videos,
        "reads_per_video": _ratio(reads, videos),
        "questions": questions,
        "questions_per_minute": _ratio(60 * questions, wall_s),
        "videos_per_minute": _ratio(60 * videos, wall_s),
        "p50_s": float(np.percentile(seconds, 50)) if seconds else None,
        "p95_s": float(np.percentile(seconds, 95)) if seconds else None,
        **{name: _ratio(sum(getattr(one, name) for one in processes), questions) for name in _PER_QUESTION},
        "peak_bytes": max((one.peak_bytes for one in processes), default=0),
    }


_PER_QUESTION = ("frames", "cubes", "visual_tokens")


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


class AnswerCost(NamedTuple):
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
    def of(cls, record: Record) -> "AnswerCost":
        """Take it from a record."""
        frames = sum(len(video.timestamps_s) for video in record.videos)
        cubes = sum(len(video.cubes) for video in record.videos)
        same = {name: getattr(record, name) for name in cls._fields if name not in ("frames", "cubes")}
        return cls(frames=frames, cubes=cubes, **same)


def summarise_costs(uses: Sequence[AnswerCost]) -> dict[str, Any]:
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
