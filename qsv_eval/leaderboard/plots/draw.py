"""Plots of a leaderboard: the list of all, drawing, and writing."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from qsv_eval.leaderboard.parallel import ParallelMap
from qsv_eval.leaderboard.plots.curves import against_frames, against_tokens, cost_breakdown, group_bars
from qsv_eval.leaderboard.plots.points import Point
from qsv_eval.leaderboard.plots.scaling import power_law
from qsv_eval.leaderboard.plots.style import save, style
from qsv_eval.leaderboard.records import PUBLISHED
from qsv_eval.leaderboard.safe_text import file_name
from qsv_eval.model_adapters.errors import SetupError

__all__ = ["Drawing", "Plot", "drawings_of", "write_plots"]


class Plot(NamedTuple):
    """A written plot."""

    task: str
    title: str
    """Title, also the text for screen readers."""
    svg: Path
    png: Path


class Drawing(NamedTuple):
    """A plot to be drawn, if there are data for it."""

    task: str
    title: str
    stem: Path
    """Path of the files without a suffix."""
    draw: Callable[..., Figure | None]
    arguments: tuple[Any, ...]
    """Arguments of `draw`."""


_KINDS: Final = (
    ("frames", "score and cost against the frames really used", against_frames),
    ("tokens", "score against visual tokens", against_tokens),
    ("power-law", "power law of the score over frames, with residuals", power_law),
    ("cost", "seconds for a question by part", cost_breakdown),
)


def drawings_of(points: Mapping[str, Sequence[Point]], scores: pd.DataFrame, folder: Path) -> list[Drawing]:
    """Return all plots to be drawn.

    Args:
        points: headline scores by task.
        scores: all scores; those of groups are drawn.
        folder: folder of the files.
    """
    shown = scores[scores["shown"] & (scores["kind"] != PUBLISHED) & (scores["field"] != "")]
    drawings = [
        Drawing(task, title, folder / file_name(task, kind), draw, (task, of_task))
        for task, of_task in points.items()
        for kind, title, draw in _KINDS
    ]
    for key, part in shown.groupby(["task", "field"], sort=True):
        task, field = map(str, key)
        stem = folder / file_name(task, f"by-{field}")
        drawings.append(Drawing(task, f"score by {field}", stem, group_bars, (task, field, part)))
    return drawings


def write_plots(drawings: Iterable[Drawing], folder: Path, mapped: ParallelMap = map) -> list[Plot]:
    """Draw and write the plots that have data.

    Args:
        drawings: plots to be drawn.
        folder: folder of the files.
        mapped: function like `map`, for one or several processes.

    Raises:
        SetupError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [plot for plot in mapped(_write, drawings) if plot is not None]
    except OSError as error:
        raise SetupError(f"{folder}: cannot be written ({error}); name another --output") from error


def _write(drawing: Drawing) -> Plot | None:
    with style():
        figure = drawing.draw(*drawing.arguments)
        return None if figure is None else Plot(drawing.task, drawing.title, *save(figure, drawing.stem))
