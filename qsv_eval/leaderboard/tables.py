"""Wide tables of scores: a row for each model and setting, a column for each benchmark or group.

Measured, complete scores on the largest number of questions in the column compete for best and second best. A score is
not significantly different from the best if the difference is at most the root of the sum of the squared half widths of
both intervals; this takes the runs as independent, and `compare`, which pairs questions, finds smaller differences.
Numbers without intervals, such as those of lmms-eval's own tasks, are not compared in this way, and scores by different
judges do not compete.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, NamedTuple

import pandas as pd

from qsv_eval.leaderboard.records import OWN, PUBLISHED
from qsv_eval.leaderboard.safe_text import natural
from qsv_eval.scoring.sample_result import Outcome, outcome_name

__all__ = ["LEGEND", "Cell", "CellText", "Mark", "RowKey", "Table", "breakdowns", "cell_text", "comparable"]
__all__ += ["format_number", "half_width", "headline_table"]

LEGEND: Final = (
    ("number [a, b]", "official average and its 95 % interval, clustered by video"),
    ("n", "number of questions, then of those whose reply is unparsed or empty, and of those without a score"),
    ("incomplete", "some questions have no score; the range is that of the average if all of them had one"),
    ("≈", "not significantly different from the best by the two intervals; `qsv-eval compare` is more sensitive"),
    ("no mark in a column", "numbers without intervals are not compared; scores by different judges have no best"),
    ("degraded", "some answers use fewer frames because memory ran out"),
    ("published", "from the named source, under its authors' protocol; does not compete for the best"),
    ("lmms-eval's own", "first metric of the task on its own scale, without outcomes and without an interval"),
)
"""Meaning of the marks; each format states its fonts of the best and second best."""


class Mark(StrEnum):
    """Rank of a number in its column."""

    NONE = ""
    BEST = "best"
    SECOND = "second"


class RowKey(NamedTuple):
    """Model and setting of a row."""

    model: str
    setting: str
    is_published: bool

    @property
    def label(self) -> str:
        """The setting, after the word "published" for published numbers."""
        return ", ".join(filter(None, ["published" if self.is_published else "", self.setting]))


@dataclass(frozen=True)
class Cell:
    """A number of a table, its interval, counts and marks."""

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
    """Name of the judge; empty if rules score."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Number of questions by outcome, in the order of outcomes; empty if unknown."""
    mark: Mark = Mark.NONE
    is_near_best: bool = False
    """Whether the number is not significantly different from the best."""

    @property
    def half_width(self) -> float | None:
        """Half of the interval's width, None if there is no interval."""
        return half_width(self.value, self.low, self.high)


@dataclass(frozen=True)
class Table:
    """Rows of cells, None where there is no number."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[RowKey, tuple[Cell | None, ...]], ...]


def headline_table(scores: pd.DataFrame, title: str) -> Table:
    """Return the official averages of measured benchmarks: measured rows first, published ones below."""
    shown = comparable(scores[scores["shown"] & (scores["field"] == "")])
    of_lmms_eval = set(shown[shown["kind"] == OWN]["task"])
    tasks = sorted(shown["task"].unique(), key=lambda task: (task in of_lmms_eval, task))
    table = _wide(shown, "task", title, tasks)
    return replace(table, columns=tuple(f"{task} ({OWN})" if task in of_lmms_eval else task for task in tasks))


def breakdowns(scores: pd.DataFrame) -> list[Table]:
    """Return a table of groups for each task and field."""
    shown = comparable(scores[scores["shown"] & (scores["field"] != "")])
    return [
        _wide(part, "group", f"{task}: {field}", list(dict.fromkeys(part["group"])))
        for (task, field), part in shown.groupby(["task", "field"], sort=True)
    ]


def comparable(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the measured scores, and the published ones of tasks and fields that were measured."""
    measured = set(scores[scores["kind"] != PUBLISHED][["task", "field"]].itertuples(index=False, name=None))
    pairs = zip(scores["task"], scores["field"], strict=True)
    return scores[[pair in measured for pair in pairs]]


def _wide(scores: pd.DataFrame, by: str, title: str, columns: Sequence[str]) -> Table:
    cells: dict[RowKey, dict[str, Cell]] = {}
    for row in scores.to_dict("records"):
        key = RowKey(row["model"], row["setting"], row["kind"] == PUBLISHED)
        cells.setdefault(key, {})[row[by]] = _cell(row)
    marked = {column: _marked({key: row[column] for key, row in cells.items() if column in row}) for column in columns}
    ordered = sorted(cells, key=lambda key: (key.is_published, natural(key.model), natural(key.setting)))
    rows = ((key, tuple(marked[column].get(key) for column in columns)) for key in ordered)
    return Table(title, tuple(columns), tuple(rows))


def _cell(row: Mapping[Any, Any]) -> Cell:
    def value_of(name: str) -> Any:
        return None if pd.isna(row[name]) else row[name]

    return Cell(
        **{name: value_of(name) for name in ("value", "low", "high", "n", "lowest", "highest")},
        is_complete=value_of("complete"),
        is_degraded=bool(value_of("degraded")),
        is_published=row["kind"] == PUBLISHED,
        higher_is_better=value_of("higher_is_better") is not False,
        scale=row["scale"],
        judge=row["judge"],
        counts={outcome.value: row[outcome.value] for outcome in Outcome if pd.notna(row[outcome.value])},
    )


def _marked(cells: Mapping[RowKey, Cell]) -> dict[RowKey, Cell]:
    """Mark the best and second best cells of a column, and those not significantly different from the best."""
    largest_n = max((cell.n or 0 for cell in cells.values() if not cell.is_published), default=0)
    competing = {key: _rank_value(cell) for key, cell in cells.items() if _competes(cell, largest_n)}
    values = sorted(set(competing.values()), reverse=True)
    if len(competing) < 2 or len({cells[key].judge for key in competing}) > 1:
        return dict(cells)
    marks = dict(zip(values, (Mark.BEST, Mark.SECOND), strict=False))
    best = [cells[key] for key, value in competing.items() if value == values[0]]
    marked = dict(cells)
    for key, value in competing.items():
        mark = marks.get(value, Mark.NONE)
        near = mark is not Mark.BEST and not all(_differs(cells[key], other) for other in best)
        marked[key] = replace(cells[key], mark=mark, is_near_best=near)
    return marked


def _competes(cell: Cell, n: int) -> bool:
    return not cell.is_published and cell.value is not None and cell.is_complete is not False and (cell.n or 0) == n


def _rank_value(cell: Cell) -> float:
    """Return the printed number, because numbers that are printed alike share a rank."""
    assert cell.value is not None
    printed = float(format_number(cell.value, cell.scale))
    return printed if cell.higher_is_better else -printed


def _differs(cell: Cell, best: Cell) -> bool:
    """Return whether two numbers differ significantly.

    A number without an interval, such as 100 %, where nothing varies, is taken as exact.
    """
    if best.half_width is None and cell.half_width is None:
        return True
    difference = abs((best.value or 0.0) - (cell.value or 0.0))
    return difference > math.hypot(best.half_width or 0.0, cell.half_width or 0.0)


def half_width(value: float | None, low: float | None, high: float | None) -> float | None:
    """Return half of an interval's width; the longer half, because the end of the scale may cut off the other."""
    if value is None or low is None or high is None:
        return None
    return max(high - value, value - low)


class CellText(NamedTuple):
    """Texts of a cell; empty where there is nothing to state."""

    value: str
    interval: str
    n: str
    """Number of questions, and of those that are neither right nor wrong."""
    possible: str
    """Possible range of an incomplete score."""
    marks: tuple[str, ...]


def cell_text(cell: Cell) -> CellText:
    """Return the texts of a cell."""

    def number(value: float | None) -> str:
        return "" if value is None else format_number(value, cell.scale)

    incomplete = cell.is_complete is False
    unclear = {name: count for name, count in cell.counts.items() if name not in (Outcome.CORRECT, Outcome.WRONG)}
    marks = {"incomplete": incomplete, "degraded": cell.is_degraded, "published": cell.is_published}
    return CellText(
        value=number(cell.value),
        interval="" if cell.low is None else f"[{number(cell.low)}, {number(cell.high)}]",
        n="" if cell.n is None else ", ".join(filter(None, [f"n={cell.n}", outcome_name(unclear)])),
        possible=f"{number(cell.lowest)} to {number(cell.highest)}" if incomplete and cell.lowest is not None else "",
        marks=tuple(mark for mark, applies in marks.items() if applies),
    )


def format_number(value: float, scale: str) -> str:
    """Return a number with the digits of its scale: 61.5 (percent), 3.42 (to 5), four digits for an unknown scale."""
    if scale == "percent":
        return f"{value:.1f}"
    end = scale.rpartition(" to ")[2]
    if end.replace(".", "").isdigit():
        return f"{value:.1f}" if float(end) > 10 else f"{value:.2f}"
    return f"{value:.4g}"
