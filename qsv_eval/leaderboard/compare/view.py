"""A comparison of two runs in the terminal. Questions and replies are text, never markup."""

from collections.abc import Iterable, Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from qsv_eval.leaderboard.compare.tasks import RunComparison
from qsv_eval.leaderboard.compare.words import (
    AVERAGES,
    FLIPS,
    PROTOCOL,
    average_row,
    conclusion,
    left_out,
    protocol_line,
    protocol_rows,
    warnings_of,
)
from qsv_eval.leaderboard.text import plain

__all__ = ["print_comparison"]

_NARROW: Final = {
    "only A / only B right": "only\nA / B\nright",
    "McNemar p": "McNe-\nmar p",
    "detectable": "least\nfound",
}
_SHOWN = 200
"""Characters of a question, a reply or a setting."""


def print_comparison(found: RunComparison, *, flips: int = 10) -> None:
    """Print protocols first, then differences, then the first of the questions on which only one run is right."""
    console = Console()
    for line in left_out(found):
        _say(console, f"WARNING: {line}")
    for task, comparison in found.tasks.items():
        console.rule(Text(plain(task)))
        _say(console, f"A: {comparison.first.path}")
        _say(console, f"B: {comparison.second.path}")
        _say(console, protocol_line(comparison))
        if comparison.protocol:
            console.print(_table(PROTOCOL, protocol_rows(comparison)))
        for warning in warnings_of(comparison):
            _say(console, f"WARNING: {warning}")
        if comparison.averages:
            console.print(_numbers(AVERAGES, map(average_row, comparison.averages)))
        for line in conclusion(comparison):
            _say(console, line)
        if comparison.flips[:flips]:
            console.print(_table(FLIPS, comparison.flips[:flips]))
        if len(comparison.flips) > flips:
            _say(console, f"{len(comparison.flips)} questions on which only one is right; --output writes all")


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(*header)
    for row in rows:
        table.add_row(*(Text(plain(cell, _SHOWN)) for cell in row))
    return table


def _numbers(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table whose first column gives way, so that no number is ever cut."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(header[0], overflow="fold", min_width=9)
    for name in header[1:]:
        table.add_column(_NARROW.get(name, name), justify="right", no_wrap=True)
    for first, *numbers in rows:
        table.add_row(Text(plain(first, _SHOWN)), *(Text(_narrow(number)) for number in numbers))
    return table


def _narrow(number: str) -> str:
    return number.replace(", ", ",").replace("< 0.", "<.")


def _say(console: Console, text: str) -> None:
    console.print(Text(plain(text)), soft_wrap=True)
