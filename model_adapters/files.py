"""Where things lie that belong to no run, and how a file is never half there."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

__all__ = ["UNFINISHED", "atomic_write", "cache_folder"]

UNFINISHED: Final = ".unfinished"
"""How the names of drafts end."""


def cache_folder(*parts: str) -> Path:
    """Return this package's folder in the user's cache (`$XDG_CACHE_HOME`, else `~/.cache`); it need not exist yet."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root, "qsv_eval", *parts)


@contextmanager
def atomic_write(path: Path, *, many_writers: bool = False) -> Iterator[Path]:
    """Yield where to write a file or a folder that takes its name when the block ends, and is gone if that fails.

    Args:
        path: the name; a file there is replaced, a folder must not be there yet. What it lies in is made if need be.
        many_writers: several processes may write it at once, and the last one's stays. Without it, what a killed
            process left is written over the next time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder: a rename is one step only within a file system.
    draft = path.with_name(f"{path.name}{f'.{uuid4().hex}' if many_writers else ''}{UNFINISHED}")
    try:
        yield draft
        draft.replace(path)
    finally:
        if draft.is_dir():
            shutil.rmtree(draft)
        else:
            draft.unlink(missing_ok=True)
