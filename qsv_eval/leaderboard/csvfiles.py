"""Frames as CSV that no spreadsheet takes for formulas (OWASP, "CSV injection")."""

from typing import Any, Final

import pandas as pd

from qsv_eval.leaderboard.text import plain

__all__ = ["as_csv", "harmless"]

_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def harmless(value: Any) -> Any:
    """Return a cell that is text: visible characters only, with a quote before what would start a formula."""
    if not isinstance(value, str):
        return value
    text = plain(value)
    return f"'{text}" if text.lstrip().startswith(_STARTS) else text


def as_csv(frame: pd.DataFrame) -> str:
    """Return a frame as CSV; what is missing is empty, and numbers keep six decimals at the most."""
    safe = frame.copy()
    safe.columns = pd.Index([harmless(str(name)) for name in safe.columns])
    for place, (_, column) in enumerate(frame.items()):
        if pd.api.types.is_float_dtype(column):
            safe.isetitem(place, column.round(6))
        elif not pd.api.types.is_numeric_dtype(column):
            safe.isetitem(place, column.map(harmless, na_action="ignore"))
    return str(safe.to_csv(index=False, lineterminator="\n"))
