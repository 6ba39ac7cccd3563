"""All plots of a leaderboard."""

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
    """A plot that was written."""

    task: str
    title: str
    """Title of the plot, also its text for screen readers."""
    svg: Path
    png: Path


class Drawing(NamedTuple):
    """A plot that is to be drawn, if there is anything on it."""

    task: str
    title: str
    stem: Path
    """Path of the plot's files without their endings."""
    draw: Callable[..., Figure | None]
    of: tuple[Any, ...]
    """Arguments of `draw`."""


_KINDS: Final = (
    ("frames", "score and cost against the frames really used", against_frames),
    ("tokens", "score against visual tokens", against_tokens),
    ("power-law", "power law of the score over frames, with residuals", power_law),
    ("cost", "seconds for a question by part", cost_breakdown),
)


def drawings_of(points: Mapping[str, Sequence[Point]], scores: pd.DataFrame, folder: Path) -> list[Drawing]:
    """Return everything that may be drawn.

    Args:
        points: the headline scores of each task.
        scores: all scores, for those of groups.
        folder: where the files go.
    """
    shown = scores[scores["shown"] & (scores["kind"] != PUBLISHED) & (scores["field"] != "")]
    drawings = [
        Drawing(task, title, folder / file_name(task, kind), draw, (task, own))
        for task, own in points.items()
        for kind, title, draw in _KINDS
    ]
    for key, part in shown.groupby(["task", "field"], sort=True):
        task, field = map(str, key)
        stem = folder / file_name(task, f"by-{field}")
        drawings.append(Drawing(task, f"score by {field}", stem, group_bars, (task, field, part)))
    return drawings


def write_plots(drawings: Iterable[Drawing], folder: Path, spread: ParallelMap = map) -> list[Plot]:
    """Draw everything that can be drawn, and write it.

    Args:
        drawings: what there is.
        folder: where the files go.
        spread: does the work.

    Raises:
        SetupError: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [plot for plot in spread(_write, drawings) if plot is not None]
    except OSError as error:
        raise SetupError(f"{folder}: cannot be written to ({error}); name another --output") from error


def _write(drawing: Drawing) -> Plot | None:
    with style():
        figure = drawing.draw(*drawing.of)
        return None if figure is None else Plot(drawing.task, drawing.title, *save(figure, drawing.stem))
