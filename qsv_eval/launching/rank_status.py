"""Notes from the ranks of `qsv-eval run --processes N` to the process that supervises them, a file for each rank.

The launcher between them passes on neither exit codes nor messages. The environment names the folder; without it, as
under any other launcher, nothing is written.
"""

import ctypes
import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from qsv_eval.model_adapters.files import atomic_write

__all__ = [
    "FOLDER_VARIABLE",
    "STOP_SIGNALS",
    "RankNote",
    "die_with_parent",
    "is_supervised",
    "note_end",
    "note_start",
    "read_notes",
    "wait_for_the_first_to_die",
]

FOLDER_VARIABLE = "QSV_RANK_NOTES"
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Those that ask for a stop in good order; where one is ignored, as SIGHUP under nohup, it stays so."""
_PR_SET_PDEATHSIG = 1
_HEARD_OF_S = 1.5
"""The launcher looks ten times a second."""


@dataclass(frozen=True)
class RankNote:
    """Note of one rank."""

    rank: int
    pid: int
    code: int | None = None
    """The exit code that it means, whatever the launcher makes of it; None while it is at work."""
    message: str = ""
    at: float = 0.0
    """When this was written, in seconds since the epoch."""


def is_supervised() -> bool:
    """Return whether this process is a rank that `qsv-eval` itself started."""
    return FOLDER_VARIABLE in os.environ


def note_start() -> None:
    """Tell the supervisor that this rank is there, and end with the launcher."""
    if is_supervised():
        die_with_parent()
        _write(RankNote(_rank(), os.getpid()))


def note_end(code: int, message: str = "") -> None:
    """Tell the supervisor how this rank comes to its end."""
    if is_supervised():
        _write(RankNote(_rank(), os.getpid(), code, message, time.time()))


def wait_for_the_first_to_die() -> None:
    """Wait a moment before speaking of an error: when another rank's death is its cause, the launcher ends this one.

    Its traceback ("connection closed by peer") would only bury the one that matters.
    """
    if is_supervised():
        time.sleep(_HEARD_OF_S)


def read_notes(folder: Path) -> dict[int, RankNote]:
    """Read the notes of all ranks, by rank."""
    notes = [RankNote(**json.loads(path.read_text("utf-8"))) for path in folder.glob("*.json")]
    return {note.rank: note for note in sorted(notes, key=lambda note: note.rank)}


def die_with_parent() -> None:
    """Let the system send SIGTERM to this process when its parent ends, however it ends: no orphans."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _rank() -> int:
    return int(os.environ.get("RANK", 0))


def _write(note: RankNote) -> None:
    path = Path(os.environ[FOLDER_VARIABLE], f"{note.rank}.json")
    with atomic_write(path) as draft:
        draft.write_text(json.dumps(asdict(note)), "utf-8")
