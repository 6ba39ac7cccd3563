"""Points of the plots: a headline score with its interval and cost. Points form lines by model and setting."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from qsv_eval.leaderboard.records import OFFICIAL, TaskCost
from qsv_eval.leaderboard.safe_text import natural

__all__ = ["Point", "caveat_notes", "group_by_line", "listed", "points_of", "split"]


class Point(NamedTuple):
    """Headline score of one model and setting."""

    model: str
    setting: str
    scale: str
    value: float | None
    low: float | None
    high: float | None
    is_complete: bool
    """Whether all questions have a score."""
    is_degraded: bool
    """Whether some answers use fewer frames because memory ran out."""
    usage: TaskCost | None
    """None if the run does not state it."""

    @property
    def name(self) -> str:
        """Model and setting."""
        return " · ".join(filter(None, [self.model, self.setting]))

    @property
    def caveat(self) -> str:
        """Reason why the score may still change; empty if there is none."""
        if not self.is_complete:
            return "some questions have no score"
        return "some answers use fewer frames because memory ran out" if self.is_degraded else ""


def points_of(scores: pd.DataFrame, usage: Mapping[tuple[str, str], TaskCost]) -> dict[str, list[Point]]:
    """Return the measured official averages by task; `usage` has costs by results file and cell."""
    shown = scores[scores["shown"] & (scores["field"] == "") & (scores["kind"] == OFFICIAL)]
    points: dict[str, list[Point]] = {}
    for row in shown.to_dict("records"):
        values: dict[str, Any] = {
            name: None if pd.isna(row[name]) else float(row[name]) for name in ("value", "low", "high")
        }
        point = Point(
            **{name: row[name] for name in ("model", "setting", "scale")},
            **values,
            is_complete=bool(pd.isna(row["complete"]) or row["complete"]),
            is_degraded=bool(pd.notna(row["degraded"]) and row["degraded"] > 0),
            usage=usage.get((row["file"], row["cell"])),
        )
        points.setdefault(row["task"], []).append(point)
    return {
        task: sorted(of_task, key=lambda point: (natural(point.model), natural(point.setting)))
        for task, of_task in sorted(points.items())
    }


def split(points: Iterable[Point], lacks: Callable[[Point], str]) -> tuple[list[Point], list[str]]:
    """Return the points that lack nothing, and notes that name the others for each reason."""
    all_points = list(points)
    return [point for point in all_points if not lacks(point)], _notes("left out", all_points, lacks)


def caveat_notes(points: Iterable[Point]) -> list[str]:
    """Return notes that name the points drawn hollow, for each reason."""
    return _notes("hollow", points, lambda point: point.caveat)


def _notes(prefix: str, points: Iterable[Point], reason_of: Callable[[Point], str]) -> list[str]:
    names: dict[str, list[str]] = {}
    for point in points:
        if reason := reason_of(point):
            names.setdefault(reason, []).append(point.name)
    return [f"{prefix}, {reason}: {listed(of_reason)}" for reason, of_reason in names.items()]


def group_by_line(points: Sequence[Point]) -> dict[str, list[Point]]:
    """Return the points of each line over frames by the line's name.

    Points of one model whose settings differ only in the limit of frames form a line; if no line has two points, those
    that differ in fps too.
    """
    lines: dict[str, list[Point]] = {}
    for ignored in (("max_frames",), ("max_frames", "fps")):
        lines = {}
        for point in points:
            parts = [part for part in point.setting.split(", ") if _field_name(part) not in ignored]
            lines.setdefault(" · ".join(filter(None, [point.model, ", ".join(parts)])), []).append(point)
        if any(len(line) > 1 for line in lines.values()):
            break
    return lines


def _field_name(part: str) -> str:
    return part.partition("=")[0].rpartition(".")[2]


def listed(names: Sequence[str]) -> str:
    """Return up to three names, or two and the number of others."""
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"
