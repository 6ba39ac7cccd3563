"""Status of the latest run in a folder, read from its journal: tasks, processes, failures, missing samples.

It works during a run, after it and after a kill, under any launcher and from any machine that sees the folder.
"""

import re
import socket
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import psutil

from qsv_eval.model_adapters.engine.journal import read_logs
from qsv_eval.model_adapters.engine.records import AnswerStatus, Assignment, ProcessLog, Record
from qsv_eval.model_adapters.errors import SetupError

__all__ = [
    "Failure",
    "RankState",
    "RankStatus",
    "RunStatus",
    "SampleProgress",
    "TaskStatus",
    "read_status",
    "safe_answers",
]


class RankState(StrEnum):
    """State of a process."""

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
    """Progress of one process through its assignment."""

    rank: int
    state: RankState
    host: str = ""
    pid: int = 0
    share: int = 0
    """Questions that it was to ask."""
    answered: int = 0
    failed: int = 0
    reason: str = ""
    last_written: datetime | None = None


class SampleProgress(NamedTuple):
    """One question."""

    task: str
    sample_id: str
    key: str
    """The answer key; empty where the question could not even be named."""


@dataclass(frozen=True)
class TaskStatus:
    """Progress of a task. A sample counts once, however often lmms-eval asks it."""

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
    samples: tuple[SampleProgress, ...]


@dataclass(frozen=True)
class RunStatus:
    """The latest run in a folder."""

    folder: Path
    run: str
    world_size: int
    started_at: datetime
    tasks: tuple[TaskStatus, ...]
    ranks: tuple[RankStatus, ...]
    failures: tuple[Failure, ...]
    missing: tuple[SampleProgress, ...]
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
        return any(rank.state is RankState.RUNNING for rank in self.ranks)

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


_RECENT = timedelta(minutes=5)
_QUIET = timedelta(minutes=15)
"""A process on another host that wrote nothing for so long may be dead; a long video takes minutes, not this."""
_CLOCK_SLACK_S = 5.0


class _ProcessFiles(NamedTuple):
    """Journal of one process of the run."""

    log: ProcessLog
    share: Assignment
    """Its first one; what it is going to ask is in all of them."""
    asked: frozenset[SampleProgress]
    answered: frozenset[SampleProgress]
    failed: frozenset[SampleProgress]


def read_status(folder: Path, now: datetime) -> RunStatus:
    """Read how far the latest run in a folder is.

    Args:
        folder: the output folder of a run, or a journal folder.
        now: the present, with its time zone.

    Raises:
        SetupError: there is no run in it.
    """
    journal = _journal_in(folder)
    logs = [log for log in read_logs(journal) if log.shares]
    if not logs:
        raise SetupError(f"{journal}: no run has said yet what it is going to ask; is this the folder of --output?")
    logs = _of_one_run(logs)
    processes = [_process(log) for log in logs]
    started_at = min(_time(process.share.started_at) for process in processes)
    ranks = _ranks(processes, now)
    running = any(rank.state is RankState.RUNNING for rank in ranks)
    ended_at = now if running else max([started_at, *(rank.last_written for rank in ranks if rank.last_written)])
    recent_from = max(started_at, ended_at - _RECENT)
    records = [record for process in processes for record in process.log.records]
    return RunStatus(
        folder=folder,
        run=processes[0].share.run,
        world_size=max(process.share.world_size for process in processes),
        started_at=started_at,
        tasks=_tasks(processes),
        ranks=ranks,
        failures=_failures(processes),
        missing=tuple(sorted(sample for p in processes for sample in p.asked - p.answered - p.failed)),
        elapsed_s=(ended_at - started_at).total_seconds(),
        recent_s=(ended_at - recent_from).total_seconds(),
        recent=len({_sample(record) for record in records if _time(record.written_at) >= recent_from}),
    )


def safe_answers(folder: Path) -> int:
    """Return how many different answers the journals in a folder hold, of a run or of a sweep's runs."""
    journals = [folder / "journal"] if (folder / "journal").is_dir() else sorted(folder.glob("*/journal"))
    records = (record for journal in journals or [folder] for log in read_logs(journal) for record in log.records)
    return len({record.key for record in records if record.fate is AnswerStatus.ANSWERED})


def _journal_in(folder: Path) -> Path:
    journal = folder / "journal" if (folder / "journal").is_dir() else folder
    if not journal.is_dir():
        raise SetupError(f"{folder}: there is no such folder; name the --output folder of a run, or a journal folder")
    return journal


def _of_one_run(logs: list[ProcessLog]) -> list[ProcessLog]:
    """Return the files of the latest run: it has a name for each kind of request, and a dead rank knows only some."""
    latest = max(logs, key=lambda log: max(share.started_at for share in log.shares))
    names = {share.run for share in latest.shares}
    return [log for log in logs if any(share.run in names for share in log.shares)]


def _process(log: ProcessLog) -> _ProcessFiles:
    asked = frozenset(SampleProgress(*question) for share in log.shares for question in share.questions)
    answered = frozenset(_sample(record) for record in log.records if record.fate is AnswerStatus.ANSWERED)
    # Also what is in no share: a question whose video cannot even be named has failed before there was a plan.
    failed = frozenset(_sample(record) for record in log.records if record.fate is AnswerStatus.FAILED) - answered
    return _ProcessFiles(log, log.shares[0], asked, answered, failed)


def _sample(record: Record) -> SampleProgress:
    return SampleProgress(record.task, record.sample_id, record.key)


def _tasks(processes: list[_ProcessFiles]) -> tuple[TaskStatus, ...]:
    totals = {
        task: total for process in processes for share in process.log.shares for task, total in share.totals.items()
    }
    asked = Counter(sample.task for process in processes for sample in process.asked)
    answered = Counter(sample.task for process in processes for sample in process.answered)
    failed = Counter(sample.task for process in processes for sample in process.failed)
    return tuple(
        TaskStatus(
            task=task,
            total=totals[task].total if task in totals else asked[task],
            known=totals[task].known if task in totals else 0,
            answered=answered[task],
            failed=failed[task],
        )
        for task in sorted(totals.keys() | asked.keys())
    )


def _ranks(processes: list[_ProcessFiles], now: datetime) -> tuple[RankStatus, ...]:
    heard = {process.share.rank: _rank(process, now) for process in processes}
    world_size = max(process.share.world_size for process in processes)
    everyone = range(max(world_size, max(heard) + 1))
    return tuple(heard.get(rank) or RankStatus(rank, RankState.UNHEARD) for rank in everyone)


def _rank(process: _ProcessFiles, now: datetime) -> RankStatus:
    log, share = process.log, process.share
    stamps = [share.started_at, *(record.written_at for record in log.records), *([log.end.at] if log.end else [])]
    last_written = max(_time(stamp) for stamp in stamps)
    return RankStatus(
        rank=share.rank,
        state=_state(log, share, last_written, now),
        host=share.host,
        pid=share.pid,
        share=len(process.asked),
        answered=len(process.answered),
        failed=len(process.failed),
        reason=log.end.reason if log.end else "",
        last_written=last_written,
    )


def _state(log: ProcessLog, share: Assignment, last_written: datetime, now: datetime) -> RankState:
    if log.end is not None:
        return RankState(log.end.how.value)
    if share.host == socket.gethostname():
        return RankState.RUNNING if _alive(share.pid, last_written) else RankState.KILLED
    touched = datetime.fromtimestamp(log.path.stat().st_mtime, UTC)
    return RankState.RUNNING if now - touched < _QUIET else RankState.SILENT


def _alive(pid: int, last_written: datetime) -> bool:
    """Return whether the process that wrote at that time is still there, and not another with its number."""
    try:
        process = psutil.Process(pid)
        same = process.create_time() <= last_written.timestamp() + _CLOCK_SLACK_S
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _failures(processes: Iterable[_ProcessFiles]) -> tuple[Failure, ...]:
    reasons: dict[str, set[SampleProgress]] = defaultdict(set)
    for process in processes:
        last = {_sample(record): record.reason for record in process.log.records if record.fate is AnswerStatus.FAILED}
        for sample in process.failed:
            reasons[_without_file(last[sample])].add(sample)
    most_first = sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(Failure(reason, tuple(sorted(samples))) for reason, samples in most_first)


def _without_file(reason: str) -> str:
    """Drop the path that a reason begins with, so that many files with one fault are one line."""
    return re.sub(r"^[^:]*/[^:]*: ", "", reason)


def _time(stamp: str) -> datetime:
    try:
        return datetime.fromisoformat(stamp)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
