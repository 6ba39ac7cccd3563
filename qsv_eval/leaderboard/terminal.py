"""A leaderboard in the terminal. Names come from files, so everything is text and nothing markup."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from qsv_eval.leaderboard.safe_text import plain
from qsv_eval.leaderboard.tables import Cell, Mark, Table, cell_text

__all__ = ["print_table"]

_LONGEST: Final = 28
"""Characters of a name or a line of a cell before it is wrapped."""
_EDGE: Final = 3
"""Characters of a column beside its text."""


def print_table(table: Table) -> None:
    """Print the measured rows of a table, as many columns at once as fit; the files have the published ones too."""
    console = Console()
    rows = [
        [Text(place.model), Text(place.label), *map(_cell, cells)]
        for place, cells in table.rows
        if not place.is_published
    ]
    headers = [Text(plain(header)) for header in ("model", "setting", *table.columns)]
    widths = [
        min(_LONGEST, max(line.cell_len for text in column for line in text.split(allow_blank=True)))
        for column in zip(headers, *rows, strict=True)
    ]
    names, numbers = range(2), range(2, len(headers))
    for block in _blocks(numbers, widths, console.width - sum(widths[one] + _EDGE for one in names) - 1):
        shown = RichTable()
        for one in (*names, *block):
            shown.add_column(headers[one], width=widths[one], overflow="fold")
        for row in rows:
            shown.add_row(*(row[one] for one in (*names, *block)))
        console.print(shown)
    console.print("bold: best; underlined: second best; ≈: not to be told apart from the best", highlight=False)


def _blocks(columns: Iterable[int], widths: Sequence[int], room: int) -> Iterator[list[int]]:
    """Yield the columns that go side by side, one at the least."""
    block: list[int] = []
    for one in columns:
        if block and sum(widths[other] + _EDGE for other in (*block, one)) > room:
            yield block
            block = []
        block.append(one)
    yield block


def _cell(cell: Cell | None) -> Text:
    if cell is None:
        return Text("")
    read = cell_text(cell)
    style = {Mark.BEST: "bold", Mark.SECOND: "underline"}.get(cell.mark, "")
    text = Text(read.value, style).append("≈" if cell.is_near_best else "", "not bold not underline")
    marks = [f"incomplete: {read.possible}" if mark == "incomplete" else mark for mark in read.marks]
    for line in filter(None, [read.interval, read.n, *marks]):
        text.append(f"\n{line}", "not bold not underline")
    return text
