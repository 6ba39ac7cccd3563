"""A comparison of two runs in the terminal. Questions and replies are text, never markup."""

from collections.abc import Iterable, Sequence

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
    lone_tasks,
    protocol_line,
    protocol_rows,
    warnings_of,
)
from qsv_eval.leaderboard.text import plain

__all__ = ["print_comparison"]

_SHOWN = 200
"""Characters of a question, a reply or a setting."""


def print_comparison(found: RunComparison, *, flips: int = 10) -> None:
    """Print protocols first, then differences, then the first of the questions on which only one run is right."""
    console = Console()
    for line in lone_tasks(found):
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
            console.print(_table(AVERAGES, map(average_row, comparison.averages)))
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


def _say(console: Console, text: str) -> None:
    console.print(Text(plain(text)), soft_wrap=True)
