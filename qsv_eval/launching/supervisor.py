"""Several processes on this machine: `qsv-eval run … --processes auto|N` supervises accelerate's launcher.

Each rank runs the same command line without `--processes`. The launcher is a session of its own; whatever happens, no
process outlives this call, and every rank that fails ends the others within seconds: their answers are in the journal.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import NamedTuple

import psutil

from qsv_eval.launching.rank_status import FOLDER_VARIABLE, STOP_SIGNALS, RankNote, read_notes

__all__ = ["LaunchPlan", "LaunchResult", "RankExit", "launch"]

_POLL_S = 0.1
_GRACE_S = 6.0
"""Seconds between the first failure, or a signal, and the kill of the ranks: longer than an orderly stop takes."""
_REPORT_S = 2.0
"""Seconds until the launcher is killed after that; it has to write down how the ranks ended."""
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class LaunchPlan:
    """Command and number of processes to launch."""

    module: str
    """Each rank is `python -m MODULE WORDS`."""
    words: tuple[str, ...]
    processes: int
    on_cpu: bool


class RankExit(NamedTuple):
    """End of one rank."""

    rank: int
    pid: int | None
    code: int | None
    """Exit code that the rank noted, else that of its process, negative for a signal; None if unknown."""
    spoke: bool
    """Whether it could still say so itself."""
    message: str = ""

    @property
    def at_fault(self) -> bool:
        """Whether it ended neither well nor because it was told to."""
        told_to = {signed for number in STOP_SIGNALS for signed in (-number, 128 + number)}
        return self.code not in {None, 0, 3} | told_to


class LaunchResult(NamedTuple):
    """End of a launch."""

    ranks: tuple[RankExit, ...]
    """Those that were at fault first, the earliest first."""
    signal: int | None
    """The signal that asked for the end, if one did."""
    started_at: datetime


def launch(plan: LaunchPlan) -> LaunchResult:
    """Run all ranks to their end, their output passed through; return when no process is left."""
    with TemporaryDirectory(prefix="qsv-eval-") as scratch, _adopting_orphans() as descendants:
        notes, ends = Path(scratch, "notes"), Path(scratch, "ends.json")
        notes.mkdir()
        command = [
            sys.executable,
            "-m",
            "qsv_eval.launching.launcher",
            str(ends),
            *_accelerate_words(plan, Path(scratch, "logs")),
        ]
        environment = _environment(plan, notes)
        received: list[int] = []
        started_at = datetime.now(UTC)
        with _forwarding(received) as forward_to:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
                command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
            )
            forward_to.append(process)
            _supervise(process, plan, notes, received, descendants)
        exit_codes = json.loads(ends.read_text("utf-8")) if ends.exists() else {}
        ranks = _blamed(plan, read_notes(notes), {int(rank): code for rank, code in exit_codes.items()})
        return LaunchResult(ranks, received[0] if received else None, started_at)


def _accelerate_words(plan: LaunchPlan, logs: Path) -> list[str]:
    """Spell out everything that a user's accelerate configuration could otherwise change."""
    fixed = {"num_machines": 1, "machine_rank": 0, "main_process_port": 0, "gpu_ids": "all", "mixed_precision": "no"}
    fixed |= {"dynamo_backend": "no", "num_processes": plan.processes, "log_dir": logs}
    options = [word for name, value in fixed.items() for word in (f"--{name}", str(value))]
    # Also on the CPU: with --cpu, accelerate starts one process whatever --num_processes says.
    return ["--multi_gpu", *options, "-m", plan.module, *plan.words]


def _environment(plan: LaunchPlan, notes: Path) -> dict[str, str]:
    cores = len(os.sched_getaffinity(0))
    chosen = {"OMP_NUM_THREADS": str(max(1, cores // plan.processes))}
    forced = {FOLDER_VARIABLE: str(notes)} | ({"ACCELERATE_USE_CPU": "true"} if plan.on_cpu else {})
    return chosen | os.environ | forced


def _supervise(
    process: "subprocess.Popen[bytes]",
    plan: LaunchPlan,
    notes: Path,
    received: list[int],
    descendants: "_Descendants",
) -> None:
    """Wait for the launcher; from the first trouble on, no longer than the grace."""
    ends_by: float | None = None
    while process.poll() is None:
        time.sleep(_POLL_S)
        gone = {rank for rank, note in read_notes(notes).items() if not _alive(note.pid)}
        told = read_notes(notes)  # after that look: who has gone in good order has said so by now
        all_over = len(told) == plan.processes and all(note.code is not None for note in told.values())
        trouble = any(
            note.code not in (None, 0, 3) or (note.code is None and rank in gone) for rank, note in told.items()
        )
        if ends_by is None and (received or all_over or trouble):
            ends_by = time.monotonic() + _GRACE_S
        if ends_by is not None and time.monotonic() > ends_by:
            descendants.kill(spare=process.pid)
        if ends_by is not None and time.monotonic() > ends_by + _REPORT_S:
            process.kill()
    descendants.kill()


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _blamed(plan: LaunchPlan, notes: Mapping[int, RankNote], exit_codes: Mapping[int, int]) -> tuple[RankExit, ...]:
    """Return how all ranks ended, those at fault first: what died without a word, then by the time of the last word."""
    first = list(exit_codes)

    def blame(end: RankExit) -> tuple[bool, bool, float]:
        when = notes[end.rank].at if end.spoke else (first.index(end.rank) if end.rank in first else len(first))
        return not end.at_fault, end.spoke, when

    ends = []
    for rank in range(plan.processes):
        note = notes.get(rank)
        if note is not None and note.code is not None:
            ends.append(RankExit(rank, note.pid, note.code, True, note.message))
        else:
            ends.append(RankExit(rank, note.pid if note else None, exit_codes.get(rank), False))
    return tuple(sorted(ends, key=blame))


@contextmanager
def _forwarding(received: list[int]) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Pass Ctrl-C and its like on to the launcher, which passes them on to the ranks."""
    processes: list[subprocess.Popen[bytes]] = []

    def forward(number: int, frame: FrameType | None) -> None:
        received.append(number)
        for process in processes:
            process.send_signal(number)

    numbers = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, forward) for number in numbers}
    try:
        yield processes
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Descendants:
    """All processes that were started below this one since now, orphans included."""

    def __init__(self) -> None:
        self._me = psutil.Process()
        self._others = {child.pid for child in self._me.children()}

    def kill(self, spare: int | None = None) -> None:
        """Kill them, and wait until they are gone; of the spared one only what is below it."""
        children = [child for child in self._me.children() if child.pid not in self._others]
        doomed = [child for child in children if child.pid != spare]
        for child in children:
            doomed += _below(child)
        for process in doomed:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(doomed, timeout=2)


def _below(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


@contextmanager
def _adopting_orphans() -> Iterator[_Descendants]:
    """Become the parent of every process below this one that loses its own, so that none can slip away."""
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield _Descendants()
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0)
