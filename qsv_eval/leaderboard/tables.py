"""Wide tables from the tidy frame: a row for each model and setting, a column for each benchmark or group.

Only measured, complete scores on as many questions as any in the column compete for best and second best. Two numbers
differ where their difference exceeds what the intervals of both allow (root of the sum of the squared half widths).
That takes the runs for independent; on the same questions `compare` finds smaller differences. Nothing is said of two
numbers without intervals, such as lmms-eval's own. Scores by different judges do not compete.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, NamedTuple

import pandas as pd

from qsv_eval.leaderboard.records import OWN, PUBLISHED
from qsv_eval.leaderboard.safe_text import natural
from qsv_eval.scoring.sample_result import Outcome, outcome_name

__all__ = [
    "LEGEND",
    "Cell",
    "CellText",
    "Mark",
    "RowKey",
    "Table",
    "breakdowns",
    "cell_text",
    "compared",
    "format_number",
    "half_width",
    "headline_table",
]


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
"""Meaning of the marks; each format says how the best and second best look."""


class CellText(NamedTuple):
    """The pieces of a cell."""

    value: str
    interval: str
    n: str
    """Number of questions, and of those that came out neither right nor wrong."""
    possible: str
    """The range of an incomplete score."""
    marks: tuple[str, ...]


def cell_text(cell: "Cell") -> CellText:
    """Return the pieces of a cell; empty where there is nothing to say."""

    def number(value: float | None) -> str:
        return "" if value is None else format_number(value, cell.scale)

    incomplete = cell.is_complete is False
    unclear = {name: count for name, count in cell.counts.items() if name not in (Outcome.CORRECT, Outcome.WRONG)}
    marks = [
        *(["incomplete"] if incomplete else []),
        *(["degraded"] if cell.is_degraded else []),
        *(["published"] if cell.is_published else []),
    ]
    return CellText(
        value=number(cell.value),
        interval="" if cell.low is None else f"[{number(cell.low)}, {number(cell.high)}]",
        n="" if cell.n is None else ", ".join(filter(None, [f"n={cell.n}", outcome_name(unclear)])),
        possible=f"{number(cell.lowest)} to {number(cell.highest)}" if incomplete and cell.lowest is not None else "",
        marks=tuple(marks),
    )


def format_number(value: float, scale: str) -> str:
    """Return a number with as many digits as its scale deserves: 61.5 %, 3.42 of 5, four digits of an unknown scale."""
    if scale == "percent":
        return f"{value:.1f}"
    end = scale.rpartition(" to ")[2]
    if end.replace(".", "").isdigit():
        return f"{value:.1f}" if float(end) > 10 else f"{value:.2f}"
    return f"{value:.4g}"


class Mark(StrEnum):
    """Rank of a number in its column."""

    NONE = ""
    BEST = "best"
    SECOND = "second"


class RowKey(NamedTuple):
    """Model, setting and split of a row."""

    model: str
    setting: str
    is_published: bool

    @property
    def label(self) -> str:
        """The setting, and whether it is somebody else's."""
        return ", ".join(filter(None, ["published" if self.is_published else "", self.setting]))


@dataclass(frozen=True)
class Cell:
    """One number of a table and what is shown with it."""

    value: float | None
    low: float | None
    high: float | None
    n: int | None
    lowest: float | None
    highest: float | None
    is_complete: bool | None
    is_degraded: bool
    is_published: bool
    higher_is_better: bool
    scale: str
    judge: str
    """Empty where rules score."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Number of questions by outcome, in the order of outcomes; empty where unknown."""
    mark: Mark = Mark.NONE
    is_near_best: bool = False
    """Whether it cannot be told apart from the best."""

    @property
    def half_width(self) -> float | None:
        """Half of the interval's width; None where there is no interval."""
        return half_width(self.value, self.low, self.high)


@dataclass(frozen=True)
class Table:
    """Rows of cells, None where there is no number."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[RowKey, tuple[Cell | None, ...]], ...]


def half_width(value: float | None, low: float | None, high: float | None) -> float | None:
    """Return half of an interval's width as it would be without the ends of the scale, which cut one side off."""
    if value is None or low is None or high is None:
        return None
    return max(high - value, value - low)


def headline_table(scores: pd.DataFrame, title: str) -> Table:
    """Return the official averages: measured rows first, published ones below, of the measured benchmarks only."""
    shown = compared(scores[scores["shown"] & (scores["field"] == "")])
    foreign = set(shown[shown["kind"] == OWN]["task"])
    table = _wide(shown, "task", title, sorted(shown["task"].unique(), key=lambda task: (task in foreign, task)))
    return replace(table, columns=tuple(f"{task} ({OWN})" if task in foreign else task for task in table.columns))


def breakdowns(scores: pd.DataFrame) -> list[Table]:
    """Return a table for each task and field."""
    shown = compared(scores[scores["shown"] & (scores["field"] != "")])
    return [
        _wide(part, "group", f"{task}: {field}", list(dict.fromkeys(part["group"])))
        for (task, field), part in shown.groupby(["task", "field"], sort=True)
    ]


def compared(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the measured scores, and of the published ones those of tasks and fields that were measured."""
    measured = scores[scores["kind"] != PUBLISHED][["task", "field"]]
    known = set(measured.itertuples(index=False, name=None))
    pairs = zip(scores["task"], scores["field"], strict=True)
    return scores[[pair in known for pair in pairs]]


def _wide(scores: pd.DataFrame, by: str, title: str, columns: Sequence[str]) -> Table:
    cells: dict[RowKey, dict[str, Cell]] = {}
    for row in scores.to_dict("records"):
        place = RowKey(row["model"], row["setting"], row["kind"] == PUBLISHED)
        cells.setdefault(place, {})[row[by]] = _cell(row)
    ranked = {column: _ranked({place: of[column] for place, of in cells.items() if column in of}) for column in columns}
    ordered = sorted(cells, key=lambda place: (place.is_published, natural(place.model), natural(place.setting)))
    rows = ((place, tuple(ranked[column].get(place) for column in columns)) for place in ordered)
    return Table(title, tuple(columns), tuple(rows))


def _cell(row: Mapping[Any, Any]) -> Cell:
    def number(name: str) -> Any:
        return None if pd.isna(row[name]) else row[name]

    return Cell(
        **{name: number(name) for name in ("value", "low", "high", "n", "lowest", "highest")},
        is_complete=number("complete"),
        is_degraded=bool(number("degraded")),
        is_published=row["kind"] == PUBLISHED,
        higher_is_better=number("higher_is_better") is not False,
        scale=row["scale"],
        judge=row["judge"],
        counts={outcome.value: row[outcome.value] for outcome in Outcome if pd.notna(row[outcome.value])},
    )


def _ranked(cells: Mapping[RowKey, Cell]) -> dict[RowKey, Cell]:
    """Mark the best and the second best of a column, and those that cannot be told apart from the best."""
    most = max((cell.n or 0 for cell in cells.values() if not cell.is_published), default=0)
    competing = {place: _rank_value(cell) for place, cell in cells.items() if _competes(cell, most)}
    values = sorted(set(competing.values()), reverse=True)
    if len(competing) < 2 or len({cells[place].judge for place in competing}) > 1:
        return dict(cells)
    marks = dict(zip(values, (Mark.BEST, Mark.SECOND), strict=False))
    best = [cells[place] for place, value in competing.items() if value == values[0]]
    found = dict(cells)
    for place, value in competing.items():
        mark = marks.get(value, Mark.NONE)
        near = mark is not Mark.BEST and not _told_apart(cells[place], best)
        found[place] = replace(cells[place], mark=mark, is_near_best=near)
    return found


def _competes(cell: Cell, most: int) -> bool:
    return not cell.is_published and cell.value is not None and cell.is_complete is not False and (cell.n or 0) == most


def _rank_value(cell: Cell) -> float:
    assert cell.value is not None
    # Numbers that look the same in the table are no first and second.
    printed = float(format_number(cell.value, cell.scale))
    return printed if cell.higher_is_better else -printed


def _told_apart(cell: Cell, best: Iterable[Cell]) -> bool:
    """Tell whether a number differs from each of the best by more than the intervals allow.

    Where nothing varies, as at 100 %, there is no interval, and the other one's alone is what is allowed.
    """

    def apart(one: Cell) -> bool:
        if one.half_width is None and cell.half_width is None:
            return True
        gap = abs((one.value or 0.0) - (cell.value or 0.0))
        return gap > math.hypot(one.half_width or 0.0, cell.half_width or 0.0)

    return all(map(apart, best))
