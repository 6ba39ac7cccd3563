"""A leaderboard in the terminal. Names come from files, so everything is text and nothing markup."""

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from qsv_eval.leaderboard.shown import reading
from qsv_eval.leaderboard.tables import Cell, Mark, Table
from qsv_eval.leaderboard.text import plain

__all__ = ["print_table"]


def print_table(table: Table) -> None:
    """Print the measured rows of a table; the files have the published ones too."""
    shown = RichTable("model", "setting")
    for column in table.columns:
        shown.add_column(Text(plain(column)))
    for place, cells in table.rows:
        if not place.is_published:
            shown.add_row(Text(place.model), Text(place.label), *map(_cell, cells))
    console = Console()
    console.print(shown)
    console.print("bold: best; underlined: second best; ≈: not to be told apart from the best", highlight=False)


def _cell(cell: Cell | None) -> Text:
    if cell is None:
        return Text("")
    read = reading(cell)
    style = {Mark.BEST: "bold", Mark.SECOND: "underline"}.get(cell.mark, "")
    text = Text(read.value, style).append("≈" if cell.is_near_best else "", "not bold not underline")
    marks = [f"incomplete: {read.possible}" if mark == "incomplete" else mark for mark in read.marks]
    for line in filter(None, [read.interval, read.n, *marks]):
        text.append(f"\n{line}", "not bold not underline")
    return text
