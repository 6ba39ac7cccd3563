"""Safe text and file names from strings of models and datasets: one line, no control characters, limited length."""

import hashlib
import re
import unicodedata
from typing import Final

__all__ = ["LONGEST", "digest", "encodable", "file_name", "natural", "plain", "table_name"]


LONGEST: Final = 2_000
"""Characters of a question or reply that a table shows at the most; the samples file has all of them."""


def plain(value: object, limit: int | None = None) -> str:
    r"""Return text as one line of visible characters.

    Line breaks, control characters (and with them ANSI codes), marks that change the direction of writing and halves
    of surrogate pairs appear as escapes, such as `\x1b`. What is longer than `limit` is cut, and says so.
    """
    text = str(value)
    if text.isprintable() and (limit is None or len(text) <= limit):
        return text  # as nearly all of them are
    rest = "" if limit is None or len(text) <= limit else f"… ({len(text):,} characters)"
    kept = text[:limit]
    return (kept if kept.isprintable() else "".join(map(_visible, kept))) + rest


def encodable(text: object) -> str:
    """Return text with question marks for the halves of surrogate pairs, which JSON can hold and UTF-8 cannot."""
    words = str(text)
    return words if words.isascii() else words.encode("utf-8", "replace").decode("utf-8")


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    # Wide and unbreakable spaces; a line separator is no mere space.
    if unicodedata.category(character) == "Zs":
        return " "
    return character.encode("unicode_escape").decode("ascii")


def natural(text: str) -> list[tuple[int, str]]:
    """Return a sort key by which "frames=64" comes before "frames=128"."""
    return [(int(part), "") if part.isascii() and part.isdigit() else (0, part) for part in re.split(r"([0-9]+)", text)]


LONGEST_NAME: Final = 300
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
    if shown == name and len(name) <= LONGEST_NAME:
        return name
    most = LONGEST_NAME - _ENDING
    return f"{shown if len(shown) <= most else f'{shown[:most]}…'} [{digest(name)}]"


def digest(*parts: str) -> str:
    """Return 12 hex digits that stand for the parts."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:12]
