"""Cache folder and atomic writes."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

__all__ = ["UNFINISHED", "atomic_write", "cache_folder"]

UNFINISHED: Final = ".unfinished"
"""Suffix of files and folders that are being written."""


def cache_folder(*parts: str) -> Path:
    """Return this package's folder in the user's cache (`$XDG_CACHE_HOME`, else `~/.cache`); it need not exist yet."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root, "qsv_eval", *parts)


@contextmanager
def atomic_write(path: Path, *, many_writers: bool = False) -> Iterator[Path]:
    """Yield a draft path, which is renamed to `path` at the end of the block, or deleted if the block fails.

    Args:
        path: final name; an existing file is replaced, a folder must not exist. Parent folders are made.
        many_writers: whether several processes may write at once (the last one wins). If not, a draft that a killed
            process left is overwritten.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, because a rename is atomic only within a file system.
    draft = path.with_name(f"{path.name}{f'.{uuid4().hex}' if many_writers else ''}{UNFINISHED}")
    try:
        yield draft
        draft.replace(path)
    finally:
        if draft.is_dir():
            shutil.rmtree(draft)
        else:
            draft.unlink(missing_ok=True)
