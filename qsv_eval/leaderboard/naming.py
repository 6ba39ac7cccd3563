"""Names that stand for names of files and tasks, which may be anything."""

import hashlib
import re
from typing import Final

from qsv_eval.leaderboard.text import plain

__all__ = ["LONGEST", "digest", "file_name", "table_name"]

LONGEST: Final = 300
"""Characters of a name in the tables."""
_ENDING: Final = 20
"""Room for what says that a name was cut, and for its digest."""


def file_name(*parts: str) -> str:
    """Return a name of letters, digits, `-` and `_`; where the parts hold anything else, with a digest of them."""
    text = "-".join(parts)
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:80]
    return safe if safe == text else f"{safe}-{digest(text)}"


def table_name(name: str) -> str:
    """Return the name of a results file or a task as the tables have it, which is also what it is found by again.

    It is one line of visible characters. Where the name itself is none, or is longer, a digest of it stands behind, so
    that names that would read alike stay apart.
    """
    shown = plain(name)
    if shown == name and len(name) <= LONGEST:
        return name
    most = LONGEST - _ENDING
    return f"{shown if len(shown) <= most else f'{shown[:most]}…'} [{digest(name)}]"


def digest(*parts: str) -> str:
    """Return 12 hex digits that stand for the parts."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:12]
