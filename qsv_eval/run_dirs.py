"""The runs below a folder. A run has one checkpoint: what the newest of several left says nothing of the others.

So whoever takes the newest files below a folder asks for one run first.

A folder may be used by one run at a time: two at once would ask every question twice. The system releases the lock
when its holder ends, however it ends. A file beside the lock names the holder, for the error message. Of the processes
of one run only the first holds the lock.
"""

import json
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.files import atomic_write

__all__ = ["LOCK_FILES", "RUN_FILE", "SUBMISSIONS", "listed", "lock_run", "only_run", "run_of", "runs_below"]


RUN_FILE: Final = "run.json"
"""By this `qsv-eval run` marks its output folder."""
_RESULTS, _SAMPLES = "*results.json", "*_samples_*.jsonl"
SUBMISSIONS: Final = "submissions"
"""Folder in which lmms-eval puts what a benchmark's server wants, under names like those of results."""
_LISTED: Final = 8
"""Runs that a message names."""


def only_run(place: Path, cell: str = "") -> Path:
    """Return the folder of the one run below a folder: the one that is marked, or else the folder as it was named.

    Args:
        place: the folder.
        cell: what was named behind it, such as `@max_frames=64`.

    Raises:
        SetupError: there are several, or a results file is damaged.
    """
    runs = runs_below(place)
    if len(runs) > 1:
        names = [f"{run}{cell}" for run in runs]
        raise SetupError(
            f"{place}{cell}: holds {len(runs)} runs, and which is meant cannot be told; name one of: {listed(names)}"
        )
    return runs[0] if runs and (runs[0] / RUN_FILE).is_file() else place


def runs_below(place: Path) -> list[Path]:
    """Return the folders of all runs in and below a folder; SetupError where a results file is damaged.

    Without the mark of `qsv-eval run`, a folder with files of lmms-eval is a run's. One with nothing but later scorings
    is none: the run that they are about is below it.
    """
    files = [file for pattern in (_RESULTS, _SAMPLES) for file in place.rglob(pattern)]
    holders = {file.parent for file in files if file.parent.name != SUBMISSIONS}
    return sorted({run_of(holder, place) for holder in holders if not _is_of_scorings(holder)})


def run_of(holder: Path, place: Path) -> Path:
    """Return the run's folder of a folder with files: the marked one at or above it, not above `place`, or itself."""
    for folder in (holder, *holder.parents):
        if (folder / RUN_FILE).is_file():
            return folder
        if folder == place:
            break
    return holder


def listed(names: Iterable[str]) -> str:
    """Name the first few, and count the rest."""
    found = list(names)
    return ", ".join(found[:_LISTED]) + (f" and {len(found) - _LISTED} more" if len(found) > _LISTED else "")


def _is_of_scorings(holder: Path) -> bool:
    kinds = [_is_scoring(file) for file in holder.glob(_RESULTS)]
    return bool(kinds) and all(kinds)


def _is_scoring(results: Path) -> bool:
    """Tell whether `qsv-eval score` wrote a results file."""
    try:
        content = json.loads(results.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SetupError(f"{results}: cannot be read ({error}); it is damaged, move it away") from error
    return isinstance(content, Mapping) and "rescored" in content


_LOCK, _HOLDER = ".lock", ".lock.json"
LOCK_FILES = frozenset({_LOCK, _HOLDER})
"""Files that a run leaves in its folder before anything else; a folder with nothing more counts as new."""


class _RunLock(FileLock):
    """Not `FileLock` itself: lmms-eval changes that into one object for each path, which a process may take twice."""


@contextmanager
def lock_run(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder, which is made if need be and taken away again if nothing was put into it.

    Raises:
        SetupError: another run is active in it, or it cannot be made.
    """
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"{folder}: cannot be made ({error.strerror}); choose another --output") from error
    lock = _RunLock(folder / _LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise SetupError(
            f"{folder}: another run is active there ({_holder(folder)}); wait for it (`qsv-eval status {folder}`) "
            "or choose another --output"
        ) from error
    except (OSError, NotImplementedError) as error:
        # Some network file systems know no locks. The journal is safe without: each process has a file of its own.
        print(f"qsv-eval: {folder}: a second run here would not be noticed ({error})", file=sys.stderr)
    try:
        _write_holder(folder)
        yield
    finally:
        with suppress(OSError):
            (folder / _HOLDER).unlink()
        _remove_unused(new, folder / _LOCK)
        lock.release()


def _write_holder(folder: Path) -> None:
    holder = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    # A full disk is met, and told of, where the first answer is written; a second run may look at any moment.
    with suppress(OSError), atomic_write(folder / _HOLDER) as draft:
        draft.write_text(json.dumps(holder) + "\n", "utf-8")


def _holder(folder: Path) -> str:
    try:
        held = json.loads((folder / _HOLDER).read_text("utf-8"))
        return f"pid {held['pid']} on {held['host']} since {held['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "it has not written down who it is"


def _remove_unused(new: list[Path], lock: Path) -> None:
    """Take away the folders that were made here, innermost first, as long as nothing was put into them."""
    if new and set(os.listdir(new[0])) <= {lock.name}:
        with suppress(OSError):
            lock.unlink()
            for folder in new:
                folder.rmdir()
