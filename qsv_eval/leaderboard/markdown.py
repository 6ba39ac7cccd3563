"""Tables as Markdown. Whatever comes from files is escaped: it is shown, never understood."""

import html
import re
from collections.abc import Iterable, Sequence

from qsv_eval.leaderboard.shown import LEGEND, reading
from qsv_eval.leaderboard.tables import Cell, Mark, Table
from qsv_eval.leaderboard.text import plain

__all__ = ["as_markdown", "escaped", "legend", "lines_of"]

_SPECIAL = re.compile(r"([\\`*_\[\]|~$#])")
"""What Markdown gives a meaning within a cell; what it does at the start of a line is none there."""
_LINKS = re.compile(r"(://|www\.|@)", re.IGNORECASE)
"""What turns into a link, or calls a user, on its own."""


def escaped(text: object, limit: int | None = None) -> str:
    """Return text for a table's cell."""
    shown = html.escape(plain(text, limit), quote=False)
    return _LINKS.sub(lambda link: f"{link[0][:-1]}&#{ord(link[0][-1])};", _SPECIAL.sub(r"\\\1", shown))


def lines_of(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table's lines; cells must be escaped already."""
    ruled = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(row)} |" for row in ruled]


def as_markdown(table: Table) -> str:
    """Return a table under its title."""
    header = ["model", "setting", *map(escaped, table.columns)]
    rows = [[escaped(place.model), escaped(place.label), *map(_cell, cells)] for place, cells in table.rows]
    return "\n".join([f"## {escaped(table.title)}", "", *lines_of(header, rows), ""])


def legend() -> str:
    """Return what the marks mean."""
    best = [("**bold**, *italic*", "best and second best of the measured, complete scores on the most questions")]
    return "\n".join([*(f"- {mark}: {meaning}." for mark, meaning in [*best, *LEGEND]), ""])


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    read = reading(cell)
    value = {Mark.BEST: f"**{read.value}**", Mark.SECOND: f"*{read.value}*"}.get(cell.mark, read.value)
    near = "≈" if cell.is_near_best else ""
    marks = [mark for mark in read.marks if mark != "published"]
    if read.possible:
        marks[0] = f"incomplete: {read.possible}"
    return " ".join(filter(None, [value + near, read.interval, read.n, f"({'; '.join(marks)})" if marks else ""]))
