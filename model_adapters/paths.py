"""Where things lie that belong to no run."""

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder(*parts: str) -> Path:
    """Return this package's folder in the user's cache (`$XDG_CACHE_HOME`, else `~/.cache`); it need not exist yet."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root, "qsv_eval", *parts)
