"""Scores against what they rest on: the frames really used, with their tokens below, and the visual tokens."""

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from qsv_eval.leaderboard.plots.points import Point, doubtful, lines_of, split
from qsv_eval.leaderboard.plots.style import COLOURS, HOLLOW, MARKERS, legend, new_figure, note, shortened
from qsv_eval.leaderboard.usage import Usage

__all__ = ["against_frames", "against_tokens", "lacking", "logarithmic", "score_label"]


def against_frames(task: str, points: Sequence[Point]) -> Figure | None:
    """Draw scores against the mean of frames really used, and what they cost; None if nothing can be drawn.

    The cost is in tokens of the prompt: seconds of a sweep's cells are no cell's own, as all of them share each frame.
    """
    drawn, left = split(points, lacking)
    if not drawn:
        return None
    figure, (above, below) = new_figure(6.4, 5.4, rows=2, ratios=(2, 1))
    _curves(above, drawn, lambda usage: usage.frames, ranges=True)
    for number, own in enumerate(lines_of(drawn).values()):
        used = [(point.usage.frames, point.usage.prompt_tokens) for point in own if point.usage]
        frames, tokens = zip(*sorted(used), strict=True)
        below.plot(frames, tokens, **_look(number))
    above.set_title(shortened(f"{task}: score against frames", 70))
    above.set_ylabel(score_label(drawn))
    below.set_ylabel("tokens of a question")
    below.set_ylim(0, 1.15 * max(point.usage.prompt_tokens for point in drawn if point.usage) or None)
    logarithmic(below, [point.usage.frames for point in drawn if point.usage])
    below.set_xlabel("frames really used of a question: mean, and 5th to 95th percentile")
    note(below, [*left, *doubtful(drawn)])
    legend(figure, above)
    return figure


def against_tokens(task: str, points: Sequence[Point]) -> Figure | None:
    """Draw scores against the mean of visual tokens of a question; None if nothing can be drawn."""
    drawn, left = split(points, lambda point: lacking(point) or ("" if _tokens(point) else "no visual tokens"))
    if not drawn:
        return None
    figure, (axes,) = new_figure(6.4, 3.9)
    _curves(axes, drawn, lambda usage: usage.visual_tokens)
    axes.set_title(shortened(f"{task}: score against visual tokens", 70))
    axes.set_ylabel(score_label(drawn))
    logarithmic(axes, [_tokens(point) for point in drawn])
    axes.set_xlabel("visual tokens of a question, mean")
    note(axes, [*left, *doubtful(drawn)])
    legend(figure, axes)
    return figure


def lacking(point: Point) -> str:
    """Say what a point lacks to be drawn; empty if nothing."""
    if point.value is None:
        return "no score"
    if point.usage is None:
        return "frames really used are not known"
    return "" if point.usage.frames > 0 else "no frames used"


def score_label(points: Sequence[Point]) -> str:
    """Name the scale of scores."""
    scales = {point.scale for point in points}
    return "score, %" if scales == {"percent"} else f"score, {' or '.join(sorted(scales))}"


def logarithmic(axes: Axes, values: Sequence[float]) -> None:
    """Give an axis powers of two, and plain numbers where the points are few."""
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    if max(values) < 2 * min(values):
        axes.set_xlim(min(values) / 2, max(values) * 2)


def _curves(axes: Axes, points: Sequence[Point], place: Callable[[Usage], float], *, ranges: bool = False) -> None:
    """Draw the lines, with intervals and, if wanted, the range of frames across them."""
    for number, (name, own) in enumerate(lines_of(points).items()):
        look = _look(number)
        placed = sorted((place(one.usage), one.value, one) for one in own if one.usage and one.value is not None)
        axes.plot([x for x, _, _ in placed], [y for _, y, _ in placed], label=shortened(name), **look)
        open_ones = [(x, y) for x, y, one in placed if one.doubt]
        if open_ones:
            axes.plot(*zip(*open_ones, strict=True), **look | HOLLOW)
        known = [(x, one.low, one.high) for x, _, one in placed if one.low is not None and one.high is not None]
        if known:
            axes.vlines(*zip(*known, strict=True), color=look["color"], linewidth=1.2, alpha=0.8)
        if ranges and placed:
            across = [(y, max(one.usage.frames_p5, 0.5), one.usage.frames_p95) for _, y, one in placed if one.usage]
            axes.hlines(*zip(*across, strict=True), color=look["color"], alpha=0.35)


def _look(number: int) -> dict[str, Any]:
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
        "markersize": 5,
        "linewidth": 1.4,
    }


def _tokens(point: Point) -> float:
    return point.usage.visual_tokens if point.usage else 0.0
