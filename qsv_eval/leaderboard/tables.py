"""Wide tables out of the tidy frame: a row for each model and setting, a column for each benchmark or group.

Only measured, complete scores on as many questions as any in the column compete for best and second best. Two numbers
are told apart where their difference exceeds what the intervals of both allow (root of the sum of the squared half
widths). That takes the runs for independent; on the same questions `compare` sees smaller differences. Nothing is said
of two without intervals, such as lmms-eval's own numbers. Scores by different judges do not compete.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

import pandas as pd

from qsv_eval.leaderboard.records import OWN, PUBLISHED
from qsv_eval.leaderboard.shown import formatted
from qsv_eval.leaderboard.text import natural
from qsv_eval.scoring.outcome import Outcome

__all__ = ["Cell", "Mark", "Place", "Table", "breakdowns", "compared", "half_width", "headline_table"]


class Mark(StrEnum):
    """How a number stands in its column."""

    NONE = ""
    BEST = "best"
    SECOND = "second"


class Place(NamedTuple):
    """What a row is about."""

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
    """How many questions of each outcome, in their order; empty where that is not known."""
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
    rows: tuple[tuple[Place, tuple[Cell | None, ...]], ...]


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
    cells: dict[Place, dict[str, Cell]] = {}
    for row in scores.to_dict("records"):
        place = Place(row["model"], row["setting"], row["kind"] == PUBLISHED)
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


def _ranked(cells: Mapping[Place, Cell]) -> dict[Place, Cell]:
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
    printed = float(formatted(cell.value, cell.scale))
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
