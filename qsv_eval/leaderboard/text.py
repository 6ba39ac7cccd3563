"""Text that models and datasets wrote, made harmless: one line, no control characters, no endless replies."""

import re
import unicodedata
from typing import Final

__all__ = ["LONGEST", "encodable", "natural", "plain"]

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
