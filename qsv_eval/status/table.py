"""Status of a run as terminal tables and as JSON."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from textwrap import shorten
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from qsv_eval.status.progress import Failure, RankState, RankStatus, RunStatus, SampleProgress

__all__ = ["print_missing", "print_status", "sample_name", "status_as_json"]

_FIRST, _REASON = 5, 300


def print_status(status: RunStatus) -> None:
    """Print tasks, processes, rate, failures and what is missing."""
    console = Console()

    def say(text: str) -> None:
        console.print(text, soft_wrap=True, highlight=False, markup=False)

    say(f"run {status.run}: {_how(status)}, {status.world_size} process(es), begun {_moment(status.started_at)}")
    console.print(_tasks(status))
    console.print(_ranks(status.ranks))
    for rank in status.ranks:
        if rank.state is RankState.FAILED:
            say(f"rank {rank.rank} failed: {shorten(rank.reason, _REASON)}")
    say(_rate(status))
    for failure in status.failures:
        say(f"failed, {len(failure.samples)}: {failure.reason} ({_examples(failure)})")
    if status.missing:
        say(f"missing, {len(status.missing)}: {sample_name(status.missing, status.folder)}")
    if not status.complete and not status.running:
        say("The same command as before asks only what has no answer.")


def print_missing(status: RunStatus) -> None:
    """Print every missing question: task and id, one a line."""
    for sample in status.missing:
        print(sample.task, sample.sample_id, sep="\t")


def sample_name(samples: tuple[SampleProgress, ...], folder: Path) -> str:
    """Name the first few of many questions, and the command that names all."""
    first = ", ".join(f"{sample.task} {sample.sample_id}" for sample in samples[:_FIRST])
    return first if len(samples) <= _FIRST else f"{first} … (all: qsv-eval status {folder} --missing)"


def status_as_json(status: RunStatus) -> dict[str, Any]:
    """Return all of it as plain data, what is derived included."""
    derived = ("complete", "running", "done", "total", "per_minute", "recent_per_minute", "left_s")
    plain = asdict(status) | {name: getattr(status, name) for name in derived}
    plain["folder"] = str(status.folder)
    plain["started_at"] = status.started_at.isoformat()
    plain["tasks"] = [asdict(task) | {"done": task.done, "missing": task.missing} for task in status.tasks]
    for rank in plain["ranks"]:
        rank["last_written"] = rank["last_written"].isoformat() if rank["last_written"] else None
    plain["missing"] = [sample._asdict() for sample in status.missing]
    plain["failures"] = [
        {"reason": failure.reason, "samples": [sample._asdict() for sample in failure.samples]}
        for failure in status.failures
    ]
    return plain


def _how(status: RunStatus) -> str:
    if status.running:
        return "running"
    return "complete" if status.complete else "incomplete"


def _tasks(status: RunStatus) -> Table:
    table = Table("task", "done", "known before", "failed", "missing")
    for task in status.tasks:
        counts = (f"{task.done}/{task.total}", str(task.known), str(task.failed or ""), str(task.missing or ""))
        table.add_row(Text(task.task), *counts)
    return table


def _ranks(ranks: tuple[RankStatus, ...]) -> Table:
    table = Table("rank", "process", "done", "failed", "state", "last wrote")
    for rank in ranks:
        process = f"{rank.host}:{rank.pid}" if rank.pid else ""
        done = f"{rank.answered}/{rank.share}" if rank.pid else ""
        table.add_row(
            str(rank.rank), process, done, str(rank.failed or ""), str(rank.state), _moment(rank.last_written)
        )
    return table


def _rate(status: RunStatus) -> str:
    over_all, lately = f"{status.per_minute:.1f} questions a minute", f"{status.recent_per_minute:.1f}"
    left = "" if status.left_s is None else f"; {_length(status.left_s)} left"
    minutes = f"{status.recent_s / 60:.0f} min" if status.recent_s >= 60 else f"{status.recent_s:.0f} s"
    return f"{status.done}/{status.total} done; {over_all} ({lately} in the last {minutes}){left}"


def _examples(failure: Failure) -> str:
    first = ", ".join(f"{sample.task} {sample.sample_id}" for sample in failure.samples[:_FIRST])
    return first if len(failure.samples) <= _FIRST else f"{first} …"


def _length(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def _moment(when: datetime | None) -> str:
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S") if when else ""
