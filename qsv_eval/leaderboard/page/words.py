"""Texts that models and datasets wrote, for the page: every character visible, long ones in files of their own."""

from typing import Any, Final

from qsv_eval.leaderboard.naming import digest
from qsv_eval.leaderboard.page.sidefiles import SideFiles
from qsv_eval.leaderboard.text import plain

__all__ = ["SHOWN", "shown", "visible"]

SHOWN: Final = 1_500
"""Characters of a text that the page has at once."""


def visible(text: str) -> str:
    r"""Return text with its line breaks, and everything else that cannot be seen as escapes, such as `\x1b`."""
    return "\n".join(map(plain, text.replace("\r\n", "\n").split("\n")))


def shown(text: str, files: SideFiles) -> str | dict[str, Any]:
    """Return a text for the page: whole, or its beginning, its length and the key of the file that has all of it."""
    if len(text) <= SHOWN:
        return visible(text)
    key = f"texts/{digest(text)}"
    if not files.has(key):
        files.write(key, visible(text))
    return {"start": visible(text[:SHOWN]), "characters": len(text), "all": key}
