"""How far a run is, as plain values: its tasks, its processes, what failed and what is missing."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

__all__ = ["Failure", "RankStatus", "Sample", "State", "Status", "TaskStatus"]


class State(StrEnum):
    """What a process is doing."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"
    KILLED = "killed"
    """It left no word, and its process is gone."""
    SILENT = "silent"
    """It runs on another host, has left no word, and wrote nothing for a long time."""
    UNHEARD = "unheard"
    """It has not said yet what it is going to ask: it is starting, or died before."""


@dataclass(frozen=True)
class RankStatus:
    """What one process has done of its share."""

    rank: int
    state: State
    host: str = ""
    pid: int = 0
    share: int = 0
    """Questions that it was to ask."""
    answered: int = 0
    failed: int = 0
    reason: str = ""
    last_written: datetime | None = None


class Sample(NamedTuple):
    """One question."""

    task: str
    sample_id: str
    key: str
    """The answer key; empty where the question could not even be named."""


@dataclass(frozen=True)
class TaskStatus:
    """How far a task is. Questions are counted once, however often lmms-eval asks them."""

    task: str
    total: int
    known: int
    """Answered by an earlier run."""
    answered: int
    """Answered by this run."""
    failed: int

    @property
    def done(self) -> int:
        """Questions that have an answer."""
        return self.known + self.answered

    @property
    def missing(self) -> int:
        """Questions of which nothing is written yet."""
        return max(0, self.total - self.done - self.failed)


@dataclass(frozen=True)
class Failure:
    """Questions that failed for one reason."""

    reason: str
    """Without the name of the file that it begins with."""
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Status:
    """The latest run in a folder."""

    folder: Path
    run: str
    world_size: int
    started_at: datetime
    tasks: tuple[TaskStatus, ...]
    ranks: tuple[RankStatus, ...]
    failures: tuple[Failure, ...]
    missing: tuple[Sample, ...]
    """Questions of the shares of which nothing is written; those of ranks that were not heard of have no names yet."""
    elapsed_s: float
    recent_s: float
    """The length of the last stretch, for `recent`."""
    recent: int
    """Questions that were finished in it."""

    @property
    def complete(self) -> bool:
        """Whether every question has an answer."""
        return all(task.done >= task.total for task in self.tasks)

    @property
    def running(self) -> bool:
        """Whether any process is at work."""
        return any(rank.state is State.RUNNING for rank in self.ranks)

    @property
    def done(self) -> int:
        """Questions that have an answer."""
        return sum(task.done for task in self.tasks)

    @property
    def total(self) -> int:
        """All questions."""
        return sum(task.total for task in self.tasks)

    @property
    def per_minute(self) -> float:
        """Questions finished in a minute, over this run."""
        finished = sum(task.answered + task.failed for task in self.tasks)
        return 60 * finished / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def recent_per_minute(self) -> float:
        """The same over the last minutes."""
        return 60 * self.recent / self.recent_s if self.recent_s > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds until all is done at the latest rate; None if that cannot be told."""
        left, rate = sum(task.missing for task in self.tasks), self.recent_per_minute or self.per_minute
        return 60 * left / rate if self.running and rate else None
