"""Texts that models and datasets wrote, for the page: every character visible, long ones in files of their own."""

from collections.abc import Mapping
from typing import Any, Final

from qsv_eval.leaderboard.page.data_files import SideFiles
from qsv_eval.leaderboard.safe_text import digest, plain

__all__ = ["SHOWN", "shown", "visible", "visibly"]

SHOWN: Final = 1_500
"""Characters of a text that the page has at once."""


def visible(text: str) -> str:
    r"""Return text with its line breaks, and everything else that cannot be seen as escapes, such as `\x1b`."""
    return "\n".join(map(plain, text.replace("\r\n", "\n").split("\n")))


def visibly(value: Any) -> Any:
    """Return a value of JSON with all texts in it visible, names of fields included."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {visible(str(name)): visibly(one) for name, one in value.items()}
    return [visibly(one) for one in value] if isinstance(value, list | tuple) else value


def shown(text: str, files: SideFiles) -> str | dict[str, Any]:
    """Return a text for the page: whole, or its beginning, its length and the key of the file that has all of it."""
    if len(text) <= SHOWN:
        return visible(text)
    key = f"texts/{digest(text)}"
    if not files.has(key):
        files.write(key, visible(text))
    return {"start": visible(text[:SHOWN]), "characters": len(text), "all": key}
