"""All plots of a leaderboard."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from qsv_eval.leaderboard.naming import file_name
from qsv_eval.leaderboard.plots.cost import cost_breakdown
from qsv_eval.leaderboard.plots.curves import against_frames, against_tokens
from qsv_eval.leaderboard.plots.groups import group_bars
from qsv_eval.leaderboard.plots.points import Point
from qsv_eval.leaderboard.plots.scaling import power_law
from qsv_eval.leaderboard.plots.style import save, style
from qsv_eval.leaderboard.records import PUBLISHED
from qsv_eval.model_adapters.errors import SetupError

__all__ = ["Plot", "write_plots"]


class Plot(NamedTuple):
    """A plot that was written."""

    task: str
    title: str
    """What it shows, for those who cannot see it too."""
    svg: Path
    png: Path


def write_plots(points: Mapping[str, Sequence[Point]], scores: pd.DataFrame, folder: Path) -> list[Plot]:
    """Draw everything that can be drawn, and write it.

    Args:
        points: the headline scores of each task.
        scores: all scores, for those of groups.
        folder: where the files go.

    Raises:
        SetupError: the folder cannot be written to.
    """
    plots = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with style():
            for task, kind, title, figure in _figures(points, scores):
                svg, png = save(figure, folder / file_name(task, kind))
                plots.append(Plot(task, title, svg, png))
    except OSError as error:
        raise SetupError(f"{folder}: cannot be written to ({error}); name another --output") from error
    return plots


def _figures(points: Mapping[str, Sequence[Point]], scores: pd.DataFrame) -> Iterator[tuple[str, str, str, Figure]]:
    """Yield task, kind, title and figure; one that would be empty is passed over."""
    shown = scores[scores["shown"] & (scores["kind"] != PUBLISHED) & (scores["field"] != "")]
    fields = shown.groupby(["task", "field"], sort=True)
    for task, own in points.items():
        made = [
            ("frames", "score and cost against the frames really used", against_frames(task, own)),
            ("tokens", "score against visual tokens", against_tokens(task, own)),
            ("power-law", "power law of the score over frames, with residuals", power_law(task, own)),
            ("cost", "seconds for a question by part", cost_breakdown(task, own)),
        ]
        yield from ((task, kind, title, figure) for kind, title, figure in made if figure is not None)
    for (task, field), part in fields:
        if (figure := group_bars(str(task), str(field), part)) is not None:
            yield str(task), f"by-{field}", f"score by {field}", figure
