"""Texts of models and datasets on the page: every character visible, long texts in files of their own."""

from collections.abc import Mapping
from typing import Any, Final

from qsv_eval.leaderboard.page.data_files import DataFiles
from qsv_eval.leaderboard.safe_text import digest, plain

__all__ = ["MAX_TEXT", "page_text", "visible", "visible_json"]

MAX_TEXT: Final = 1_500
"""Longer texts are loaded on demand; in characters."""


def visible(text: str) -> str:
    r"""Return text with its line breaks, and all other invisible characters as escapes, such as `\x1b`."""
    return "\n".join(map(plain, text.replace("\r\n", "\n").split("\n")))


def visible_json(value: Any) -> Any:
    """Return a JSON value with all its strings made visible, names of fields included."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {visible(str(name)): visible_json(item) for name, item in value.items()}
    return [visible_json(item) for item in value] if isinstance(value, list | tuple) else value


def page_text(text: str, files: DataFiles) -> str | dict[str, Any]:
    """Return a text for the page: whole, or its beginning, its length and the key of the file with all of it."""
    if len(text) <= MAX_TEXT:
        return visible(text)
    key = f"texts/{digest(text)}"
    if not files.has(key):
        files.write(key, visible(text))
    return {"start": visible(text[:MAX_TEXT]), "characters": len(text), "all": key}
