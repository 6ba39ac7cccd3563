"""Frames and tables as CSV that no spreadsheet takes for formulas (OWASP, "CSV injection")."""

from typing import Any, Final

import pandas as pd

from qsv_eval.leaderboard.records import PUBLISHED
from qsv_eval.leaderboard.safe_text import plain
from qsv_eval.leaderboard.tables import Cell, Table
from qsv_eval.scoring.sample_result import Outcome

__all__ = ["as_csv", "csv_safe", "wide_frame"]

_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
_COUNTS: Final = ("n", *(outcome.value for outcome in Outcome))
_PARTS: Final = ("", "low", "high", *_COUNTS, "lowest", "highest", "mark")
"""Suffixes of the columns of a cell, each after its benchmark's name; the value's column has no suffix."""


def csv_safe(value: Any) -> Any:
    """Return a cell that is text: visible characters only, with a quote before what would start a formula."""
    if not isinstance(value, str):
        return value
    text = plain(value)
    return f"'{text}" if text.lstrip().startswith(_STARTS) else text


def as_csv(frame: pd.DataFrame) -> str:
    """Return a frame as CSV; what is missing is empty, and numbers keep six decimals at the most."""
    safe = frame.copy()
    safe.columns = pd.Index([csv_safe(str(name)) for name in safe.columns])
    for place, (_, column) in enumerate(frame.items()):
        if pd.api.types.is_float_dtype(column):
            safe.isetitem(place, column.round(6))
        elif not pd.api.types.is_numeric_dtype(column):
            safe.isetitem(place, column.map(csv_safe, na_action="ignore"))
    return str(safe.to_csv(index=False, lineterminator="\n"))


def wide_frame(table: Table) -> pd.DataFrame:
    """Return a table with its parts in columns of their own: `qsv_mlvu`, `qsv_mlvu low` and so on."""
    named = [(column, part, f"{column} {part}".strip()) for column in table.columns for part in _PARTS]
    rows = []
    for place, cells in table.rows:
        kind = PUBLISHED if place.is_published else "measured"
        parts = dict(zip(table.columns, map(_parts, cells), strict=True))
        found = {name: parts[column].get(part) for column, part, name in named}
        rows.append({"model": place.model, "setting": place.setting, "kind": kind, **found})
    frame = pd.DataFrame(rows, columns=["model", "setting", "kind", *(name for *_, name in named)])
    return frame.astype({name: "Int64" for _, part, name in named if part in _COUNTS})


def _parts(cell: Cell | None) -> dict[str, Any]:
    if cell is None:
        return {}
    incomplete = cell.is_complete is False
    marks = {
        cell.mark.value: True,
        "near the best": cell.is_near_best,
        "incomplete": incomplete,
        "degraded": cell.is_degraded,
    }
    return {
        "": cell.value,
        "low": cell.low,
        "high": cell.high,
        "n": cell.n,
        **cell.counts,
        "lowest": cell.lowest if incomplete else None,
        "highest": cell.highest if incomplete else None,
        "mark": ", ".join(mark for mark, holds in marks.items() if mark and holds),
    }
