"""Where a question's seconds go: the answering thread's parts as one bar, and decoding, which goes on beside it."""

from collections.abc import Sequence
from typing import Final

from matplotlib.figure import Figure

from qsv_eval.leaderboard.plots.points import Point, split
from qsv_eval.leaderboard.plots.style import COLOURS, legend, new_figure, note, shortened
from qsv_eval.leaderboard.usage import PARTS

__all__ = ["cost_breakdown"]

_MOST: Final = 24
"""Bars that fit."""


def cost_breakdown(task: str, points: Sequence[Point]) -> Figure | None:
    """Draw seconds for a question by part; None if they are known of no run."""
    drawn, left = split(points, lambda point: "" if point.usage else "its seconds are not known")
    if len(drawn) > _MOST:
        left.append(f"left out, for want of room: {len(drawn) - _MOST} runs")
        drawn = drawn[:_MOST]
    if not drawn:
        return None
    figure, (axes,) = new_figure(7.2, 1.6 + 0.42 * len(drawn))
    places = range(len(drawn))
    starts = [0.0] * len(drawn)
    for number, part in enumerate(PARTS):
        seconds = [point.usage.seconds[part] if point.usage else 0.0 for point in drawn]
        axes.barh([at - 0.12 for at in places], seconds, 0.5, left=starts, color=COLOURS[number], label=part)
        starts = [start + own for start, own in zip(starts, seconds, strict=True)]
    decoding = [point.usage.read_s if point.usage else 0.0 for point in drawn]
    label = "decoding, in the background"
    axes.barh(
        [at + 0.28 for at in places], decoding, 0.22, color="#BBBBBB", hatch="////", edgecolor="white", label=label
    )
    axes.set_yticks(list(places), [f"{shortened(point.model)}\n{shortened(point.setting)}".strip() for point in drawn])
    axes.set_ylim(len(drawn) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set_title(shortened(f"{task}: seconds for a question", 70))
    axes.set_xlabel("s")
    note(axes, left)
    legend(figure, axes)
    return figure
