"""Efficiency of a run, and the cost of a task's answers, whether given in this run or in an earlier one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from qsv_eval.model_adapters.engine.records import Record
from qsv_eval.model_adapters.frames.read_job import ReadResult
from qsv_eval.model_adapters.stage_timer import STAGES

__all__ = ["AnswerCost", "Efficiency", "summarise_costs", "summarise_efficiency"]


@dataclass
class Efficiency:
    """Measurements of one process; `summarise_efficiency` combines those of all processes."""

    wall_s: float = 0.0
    """Seconds from the start of answering to its end."""
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds of the answering thread by stage."""
    read_s: float = 0.0
    """Seconds of all reads, in the background."""
    reads: int = 0
    reads_from_store: int = 0
    files: set[str] = field(default_factory=set)
    """Content ids of the video files that were read."""
    frames: int = 0
    """Frames, cubes and visual tokens are summed over all requests, also where requests share them."""
    cubes: int = 0
    visual_tokens: int = 0
    request_s: list[float] = field(default_factory=list)
    """Seconds of the answering thread for each request."""
    peak_bytes: int = 0

    def add_stages(self, seconds: Mapping[str, float]) -> None:
        """Add the seconds of a stage timer."""
        for name, value in seconds.items():
            self.stages[name] = self.stages.get(name, 0.0) + value

    def add_read(self, content_id: str, result: ReadResult) -> None:
        """Count the read of a file, failed or not."""
        self.files.add(content_id)
        self.reads += 1
        self.reads_from_store += result.from_store
        self.read_s += result.read_s

    def add_record(self, record: Record) -> None:
        """Count an answered request."""
        cost = AnswerCost.of(record)
        self.request_s.append(sum(cost.seconds.values()))
        self.frames += cost.frames
        self.cubes += cost.cubes
        self.visual_tokens += cost.visual_tokens
        self.peak_bytes = max(self.peak_bytes, record.peak_bytes)


def summarise_efficiency(processes: Sequence[Efficiency]) -> dict[str, Any]:
    """Combine the measurements of all processes for the results file.

    Keys: `processes`; `wall_s` of the slowest; `stages`, seconds summed over processes, and `accounted`, their share of
    the summed wall time; `read_s` in the background; `overlap`, the share of it that no answering thread waited for;
    `reads`, `reads_from_store`, `videos` and `reads_per_video`; `questions`, `questions_per_minute`,
    `videos_per_minute`; `p50_s` and `p95_s`, a request's seconds on an answering thread; `frames`, `cubes` and
    `visual_tokens` per request; `peak_bytes` of the largest process.
    """
    wall_s = max((process.wall_s for process in processes), default=0.0)
    stages = {name: sum(process.stages.get(name, 0.0) for process in processes) for name in STAGES}
    read_s, reads = sum(process.read_s for process in processes), sum(process.reads for process in processes)
    videos = len(set().union(*(process.files for process in processes)))
    seconds = [value for process in processes for value in process.request_s]
    requests = len(seconds)
    return {
        "processes": len(processes),
        "wall_s": wall_s,
        "stages": stages,
        "accounted": _ratio(sum(stages.values()), sum(process.wall_s for process in processes)),
        "read_s": read_s,
        "overlap": None if not read_s else max(0.0, 1 - stages["wait"] / read_s),
        "reads": reads,
        "reads_from_store": sum(process.reads_from_store for process in processes),
        "videos": videos,
        "reads_per_video": _ratio(reads, videos),
        "questions": requests,
        "questions_per_minute": _ratio(60 * requests, wall_s),
        "videos_per_minute": _ratio(60 * videos, wall_s),
        "p50_s": float(np.percentile(seconds, 50)) if seconds else None,
        "p95_s": float(np.percentile(seconds, 95)) if seconds else None,
        **{
            name: _ratio(sum(getattr(process, name) for process in processes), requests)
            for name in ("frames", "cubes", "visual_tokens")
        },
        "peak_bytes": max((process.peak_bytes for process in processes), default=0),
    }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


class AnswerCost(NamedTuple):
    """Frames, tokens and seconds of one answer."""

    frames: int = 0
    """Frames and cubes are summed over the answer's videos."""
    cubes: int = 0
    visual_tokens: int = 0
    """Visual tokens of videos, images and thumbnails."""
    prompt_tokens: int = 0
    new_tokens: int = 0
    seconds: Mapping[str, float] = {}
    """Seconds of the answering thread by stage; time that several requests share is divided among them."""
    read_s: float = 0.0
    """Seconds of reading the files in the background, divided in the same way."""

    @classmethod
    def of(cls, record: Record) -> "AnswerCost":
        """Return the cost of a recorded answer."""
        frames = sum(len(video.timestamps_s) for video in record.videos)
        cubes = sum(len(video.cubes) for video in record.videos)
        same = {name: getattr(record, name) for name in cls._fields if name not in ("frames", "cubes")}
        return cls(frames=frames, cubes=cubes, **same)


def summarise_costs(costs: Sequence[AnswerCost]) -> dict[str, Any]:
    """Summarise the costs of a task's answers.

    Keys: `answers`; `frames` of an answer, as `mean`, `p5` and `p95`; means of `cubes`, `visual_tokens`,
    `prompt_tokens`, `new_tokens` and `read_s`; `tokens_per_frame`, all visual tokens by all frames (None without
    frames); `seconds`, the mean by stage. Empty if there are no answers.
    """
    if not costs:
        return {}
    frames = np.array([cost.frames for cost in costs])
    means = ("cubes", "visual_tokens", "prompt_tokens", "new_tokens", "read_s")
    return {
        "answers": len(costs),
        "frames": {"mean": float(frames.mean())} | {f"p{q}": float(np.percentile(frames, q)) for q in (5, 95)},
        **{name: float(np.mean([getattr(cost, name) for cost in costs])) for name in means},
        "tokens_per_frame": sum(cost.visual_tokens for cost in costs) / int(frames.sum()) if frames.any() else None,
        "seconds": {stage: float(np.mean([cost.seconds.get(stage, 0.0) for cost in costs])) for stage in STAGES},
    }
