"""Points of the plots: a headline score with its interval, frames, tokens and cost."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from qsv_eval.leaderboard.records import OFFICIAL, TaskCost
from qsv_eval.leaderboard.safe_text import natural

__all__ = ["Point", "doubtful", "lines_of", "listed", "points_of", "split"]


class Point(NamedTuple):
    """One score."""

    model: str
    setting: str
    scale: str
    value: float | None
    low: float | None
    high: float | None
    is_complete: bool
    """Whether all questions have a score."""
    is_degraded: bool
    """Whether some answers rest on fewer frames, for want of memory."""
    usage: TaskCost | None
    """None where the run does not say it."""

    @property
    def name(self) -> str:
        """Its model and setting."""
        return " · ".join(filter(None, [self.model, self.setting]))

    @property
    def doubt(self) -> str:
        """Why the score may yet change, in words; empty where nothing is the matter."""
        if not self.is_complete:
            return "some questions have no score"
        return "some answers rest on fewer frames, for want of memory" if self.is_degraded else ""


def points_of(scores: pd.DataFrame, usage: Mapping[tuple[str, str], TaskCost]) -> dict[str, list[Point]]:
    """Return the measured official averages of each task; `usage` goes by results file and cell."""
    shown = scores[scores["shown"] & (scores["field"] == "") & (scores["kind"] == OFFICIAL)]
    points: dict[str, list[Point]] = {}
    for row in shown.to_dict("records"):
        values: dict[str, Any] = {name: _number(row[name]) for name in ("value", "low", "high")}
        point = Point(
            **{name: row[name] for name in ("model", "setting", "scale")},
            **values,
            is_complete=bool(pd.isna(row["complete"]) or row["complete"]),
            is_degraded=bool(pd.notna(row["degraded"]) and row["degraded"] > 0),
            usage=usage.get((row["file"], row["cell"])),
        )
        points.setdefault(row["task"], []).append(point)
    return {
        task: sorted(of, key=lambda point: (natural(point.model), natural(point.setting)))
        for task, of in sorted(points.items())
    }


def split(points: Iterable[Point], lacks: Callable[[Point], str]) -> tuple[list[Point], list[str]]:
    """Return the points that lack nothing, and for each reason which the others are, in words."""
    known = list(points)
    return [point for point in known if not lacks(point)], _said("left out", known, lacks)


def doubtful(points: Iterable[Point]) -> list[str]:
    """Say which points are drawn hollow, and why."""
    return _said("hollow", points, lambda point: point.doubt)


def _said(what: str, points: Iterable[Point], why: Callable[[Point], str]) -> list[str]:
    found: dict[str, list[str]] = {}
    for point in points:
        if reason := why(point):
            found.setdefault(reason, []).append(point.name)
    return [f"{what}, {reason}: {listed(names)}" for reason, names in found.items()]


def lines_of(points: Sequence[Point]) -> dict[str, list[Point]]:
    """Return the points of each line over frames, by its name, in the order in which they come.

    Points of one model whose settings differ in the limit of frames alone are on one line; where no line has two, those
    that differ in fps too.
    """
    lines: dict[str, list[Point]] = {}
    for passed_over in (("max_frames",), ("max_frames", "fps")):
        lines = {}
        for point in points:
            parts = [part for part in point.setting.split(", ") if _name_of(part) not in passed_over]
            lines.setdefault(" · ".join(filter(None, [point.model, ", ".join(parts)])), []).append(point)
        if any(len(own) > 1 for own in lines.values()):
            break
    return lines


def _name_of(part: str) -> str:
    return part.partition("=")[0].rpartition(".")[2]


def listed(names: Sequence[str]) -> str:
    """Name a few, and count the rest."""
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
