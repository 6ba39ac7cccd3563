"""Table in the terminal. Names come from files, so they are printed as text, never as markup."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from qsv_eval.leaderboard.safe_text import plain
from qsv_eval.leaderboard.tables import Cell, Mark, Table, cell_text

__all__ = ["print_table"]

_MAX_WIDTH: Final = 28
"""Width of a column in characters; longer texts are wrapped."""
_BORDER: Final = 3
"""Characters of a column's border and padding."""


def print_table(table: Table) -> None:
    """Print the measured rows of a table in blocks of as many columns as fit; published rows are in the files."""
    console = Console()
    rows = [[Text(key.model), Text(key.label), *map(_cell, cells)] for key, cells in table.rows if not key.is_published]
    headers = [Text(plain(header)) for header in ("model", "setting", *table.columns)]
    widths = [
        min(_MAX_WIDTH, max(line.cell_len for text in column for line in text.split(allow_blank=True)))
        for column in zip(headers, *rows, strict=True)
    ]
    names, scores = range(2), range(2, len(headers))
    for block in _blocks(scores, widths, console.width - sum(widths[column] + _BORDER for column in names) - 1):
        printed = RichTable()
        for column in (*names, *block):
            printed.add_column(headers[column], width=widths[column], overflow="fold")
        for row in rows:
            printed.add_row(*(row[column] for column in (*names, *block)))
        console.print(printed)
    console.print("bold: best; underlined: second best; ≈: not significantly different from the best", highlight=False)


def _blocks(columns: Iterable[int], widths: Sequence[int], room: int) -> Iterator[list[int]]:
    """Yield lists of columns that fit side by side, each of at least one."""
    block: list[int] = []
    for column in columns:
        if block and sum(widths[other] + _BORDER for other in (*block, column)) > room:
            yield block
            block = []
        block.append(column)
    yield block


def _cell(cell: Cell | None) -> Text:
    if cell is None:
        return Text("")
    parts = cell_text(cell)
    style = {Mark.BEST: "bold", Mark.SECOND: "underline"}.get(cell.mark, "")
    text = Text(parts.value, style).append("≈" if cell.is_near_best else "", "not bold not underline")
    marks = [f"incomplete: {parts.possible}" if mark == "incomplete" else mark for mark in parts.marks]
    for line in filter(None, [parts.interval, parts.n, *marks]):
        text.append(f"\n{line}", "not bold not underline")
    return text
