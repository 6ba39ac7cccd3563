"""One run at a time in an output folder: two at once would ask every question twice.

The system lets go of the lock when its holder ends, however it ends. Who holds it stands in a file beside it, for the
refusal to name. Of the processes of one run only the first holds the lock.
"""

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.paths import whole

__all__ = ["LOCK_FILES", "hold"]

_LOCK, _HOLDER = ".lock", ".lock.json"
LOCK_FILES = frozenset({_LOCK, _HOLDER})
"""What a run leaves in its folder before anything else; a folder with nothing more is still new."""


class _RunLock(FileLock):
    """Not `FileLock` itself: lmms-eval changes that into one object for each path, which a process may take twice."""


@contextmanager
def hold(folder: Path) -> Iterator[None]:
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
    with suppress(OSError), whole(folder / _HOLDER) as draft:
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
