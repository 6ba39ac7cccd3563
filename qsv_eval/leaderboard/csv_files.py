"""Frames and tables as CSV, with no cell that a spreadsheet would run as a formula (OWASP, "CSV injection")."""

from typing import Any, Final

import pandas as pd

from qsv_eval.leaderboard.records import PUBLISHED
from qsv_eval.leaderboard.safe_text import plain
from qsv_eval.leaderboard.tables import Cell, Table
from qsv_eval.scoring.sample_result import Outcome

__all__ = ["as_csv", "csv_safe", "wide_frame"]

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
_COUNTS: Final = ("n", *(outcome.value for outcome in Outcome))
_PARTS: Final = ("", "low", "high", *_COUNTS, "lowest", "highest", "mark")
"""Columns of a cell, named by the benchmark and the part; that of the value has the benchmark's name alone."""


def csv_safe(value: Any) -> Any:
    """Return a text with visible characters only, and a quote before it if it starts like a formula."""
    if not isinstance(value, str):
        return value
    text = plain(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA_STARTS) else text


def as_csv(frame: pd.DataFrame) -> str:
    """Return a frame as CSV; missing values are empty, and numbers have at most six decimals."""
    safe = frame.copy()
    safe.columns = pd.Index([csv_safe(str(name)) for name in safe.columns])
    for index, (_, column) in enumerate(frame.items()):
        if pd.api.types.is_float_dtype(column):
            safe.isetitem(index, column.round(6))
        elif not pd.api.types.is_numeric_dtype(column):
            safe.isetitem(index, column.map(csv_safe, na_action="ignore"))
    return str(safe.to_csv(index=False, lineterminator="\n"))


def wide_frame(table: Table) -> pd.DataFrame:
    """Return a table with a column for each part of a cell: `qsv_mlvu`, `qsv_mlvu low` and so on."""
    names = [(column, part, f"{column} {part}".strip()) for column in table.columns for part in _PARTS]
    rows = []
    for key, cells in table.rows:
        kind = PUBLISHED if key.is_published else "measured"
        parts = dict(zip(table.columns, map(_parts, cells), strict=True))
        values = {name: parts[column].get(part) for column, part, name in names}
        rows.append({"model": key.model, "setting": key.setting, "kind": kind, **values})
    frame = pd.DataFrame(rows, columns=["model", "setting", "kind", *(name for *_, name in names)])
    return frame.astype({name: "Int64" for _, part, name in names if part in _COUNTS})


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
        "mark": ", ".join(mark for mark, applies in marks.items() if mark and applies),
    }
