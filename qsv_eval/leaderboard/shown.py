"""How a number of a table reads, in pieces that each format dresses in its own way."""

from typing import TYPE_CHECKING, Final, NamedTuple

from qsv_eval.scoring.outcome import Outcome, named

if TYPE_CHECKING:
    from qsv_eval.leaderboard.tables import Cell

__all__ = ["LEGEND", "Reading", "formatted", "reading"]

LEGEND: Final = (
    ("number [a, b]", "the official average and its 95 % interval, clustered by video"),
    ("n", "questions asked; after it, how many replies were unparsed or empty, and how many questions have no score"),
    ("incomplete", "some questions have no score: the range is what the average could be if all of them had one"),
    ("≈", "cannot be told apart from the best by the two intervals; `qsv-eval compare` pairs questions and sees more"),
    ("no mark in a column", "of two numbers without intervals nothing is said; by different judges none is the best"),
    ("degraded", "some answers rest on fewer frames, for want of memory"),
    ("published", "from the source that is named, under its authors' own protocol; no competitor for the best"),
    ("lmms-eval's own", "its first metric on its own scale, with no outcomes behind it and no interval"),
)
"""What the marks mean; how the best and the second best look, each format says itself."""


class Reading(NamedTuple):
    """The pieces of a cell."""

    value: str
    interval: str
    n: str
    """How many questions were asked, and how many of them came out neither right nor wrong."""
    possible: str
    """The range of an incomplete score."""
    marks: tuple[str, ...]


def reading(cell: "Cell") -> Reading:
    """Return the pieces of a cell; empty where there is nothing to say."""

    def number(value: float | None) -> str:
        return "" if value is None else formatted(value, cell.scale)

    incomplete = cell.is_complete is False
    unclear = {name: count for name, count in cell.counts.items() if name not in (Outcome.CORRECT, Outcome.WRONG)}
    marks = [
        *(["incomplete"] if incomplete else []),
        *(["degraded"] if cell.is_degraded else []),
        *(["published"] if cell.is_published else []),
    ]
    return Reading(
        value=number(cell.value),
        interval="" if cell.low is None else f"[{number(cell.low)}, {number(cell.high)}]",
        n="" if cell.n is None else ", ".join(filter(None, [f"n={cell.n}", named(unclear)])),
        possible=f"{number(cell.lowest)} to {number(cell.highest)}" if incomplete and cell.lowest is not None else "",
        marks=tuple(marks),
    )


def formatted(value: float, scale: str) -> str:
    """Return a number with as many digits as its scale deserves: 61.5 %, 3.42 of 5, four digits of an unknown scale."""
    if scale == "percent":
        return f"{value:.1f}"
    end = scale.rpartition(" to ")[2]
    if end.replace(".", "").isdigit():
        return f"{value:.1f}" if float(end) > 10 else f"{value:.2f}"
    return f"{value:.4g}"
