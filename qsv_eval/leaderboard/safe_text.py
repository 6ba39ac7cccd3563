"""Safe text and file names from strings of models and datasets: one line, no control characters, limited length."""

import hashlib
import re
import unicodedata
from typing import Final

__all__ = ["LONGEST", "LONGEST_NAME", "digest", "encodable", "file_name", "natural", "plain", "table_name"]

LONGEST: Final = 2_000
"""Limit of a question or reply in a table, in characters; the samples file has all of it."""
LONGEST_NAME: Final = 300
"""Limit of a name in the tables, in characters."""
_ENDING: Final = 20
"""Length of the ellipsis and the digest of a shortened name, in characters."""


def plain(value: object, limit: int | None = None) -> str:
    r"""Return text as one line of visible characters.

    Line breaks, control characters (and so ANSI codes), marks that change the direction of writing and lone surrogates
    become escapes, such as `\x1b`. Text longer than `limit` is cut, and its length is added.
    """
    text = str(value)
    if text.isprintable() and (limit is None or len(text) <= limit):
        return text  # the usual case
    rest = "" if limit is None or len(text) <= limit else f"… ({len(text):,} characters)"
    kept = text[:limit]
    return (kept if kept.isprintable() else "".join(map(_visible, kept))) + rest


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    if unicodedata.category(character) == "Zs":
        return " "  # wide and no-break spaces, but no line separators
    return character.encode("unicode_escape").decode("ascii")


def encodable(text: object) -> str:
    """Return text with question marks for lone surrogates, which JSON can hold and UTF-8 cannot."""
    string = str(text)
    return string if string.isascii() else string.encode("utf-8", "replace").decode("utf-8")


def natural(text: str) -> list[tuple[int, str]]:
    """Return a sort key by which "frames=64" comes before "frames=128"."""
    return [(int(part), "") if part.isascii() and part.isdigit() else (0, part) for part in re.split(r"([0-9]+)", text)]


def file_name(*parts: str) -> str:
    """Return a file name of letters, digits, `-` and `_`, with a digest if the parts hold other characters."""
    text = "-".join(parts)
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:80]
    return safe if safe == text else f"{safe}-{digest(text)}"


def table_name(name: str) -> str:
    """Return the unique name of a results file or task in the tables: one line of visible characters.

    A name that is changed or shortened for this ends with a digest, so that different names stay different.
    """
    visible = plain(name)
    if visible == name and len(name) <= LONGEST_NAME:
        return name
    limit = LONGEST_NAME - _ENDING
    return f"{visible if len(visible) <= limit else f'{visible[:limit]}…'} [{digest(name)}]"


def digest(*parts: str) -> str:
    """Return 12 hex digits of a hash of the parts."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:12]
