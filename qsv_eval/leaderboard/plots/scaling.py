"""The power law of scores over frames: the points of each model and setting, a line, and what the line leaves over."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

from qsv_eval.leaderboard.plots.curves import lacking, logarithmic, score_label
from qsv_eval.leaderboard.plots.points import Point, lines_of, listed, split
from qsv_eval.leaderboard.plots.powerlaw import FEWEST, PowerLaw, fit_power_law
from qsv_eval.leaderboard.plots.style import COLOURS, MARKERS, legend, new_figure, note, shortened

__all__ = ["power_law"]


def power_law(task: str, points: Sequence[Point]) -> Figure | None:
    """Draw fits of score = a · framesᵇ over frames really used, with residuals; None if no line has enough points."""
    drawn, left = split(points, _unfit)
    fits = {model: (own, _fit(own)) for model, own in lines_of(drawn).items()}
    few = [name for name, (_, law) in fits.items() if law is None]
    left += [f"not fitted, fewer than {FEWEST} numbers of frames: {listed(few)}"] if few else []
    if all(law is None for _, law in fits.values()):
        return None
    figure, (above, below) = new_figure(6.4, 5.4, rows=2, ratios=(2, 1))
    fitted = [(model, own, law) for model, (own, law) in fits.items() if law is not None]
    for number, (model, own, law) in enumerate(fitted):
        _draw(above, below, number, model, own, law)
    above.set_title(shortened(f"{task}: power law of the score over frames", 70))
    above.set_ylabel(f"{score_label(drawn)}, logarithmic")
    above.set_yscale("log")
    above.yaxis.set_major_locator(MaxNLocator(6))
    above.yaxis.set_major_formatter(ScalarFormatter())
    above.yaxis.set_minor_formatter(NullFormatter())
    below.axhline(0, color="#555555", linewidth=0.8)
    below.set_ylabel("score less fit")
    logarithmic(below, [_frames(point) for _, own, _ in fitted for point in own])
    below.set_xlabel("frames really used of a question, mean")
    note(below, left)
    legend(figure, above)
    return figure


def _unfit(point: Point) -> str:
    # A line through them would be bent by what is missing, and nobody would see why.
    return lacking(point) or point.doubt or ("" if point.value and point.value > 0 else "a score of 0 has no logarithm")


def _fit(points: Sequence[Point]) -> PowerLaw | None:
    return fit_power_law(
        [_frames(point) for point in points], [point.value or 0.0 for point in points], [_half(one) for one in points]
    )


def _draw(above: Axes, below: Axes, number: int, model: str, points: Sequence[Point], law: PowerLaw) -> None:
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    frames = [_frames(point) for point in points]
    line = np.geomspace(min(frames), max(frames), 50)
    exponent = f"b = {law.exponent:.3f} [{law.low:.3f}, {law.high:.3f}], R² = {law.r_squared:.2f}"
    above.plot(line, law.at(line), color=colour, linewidth=1.2, label=f"{shortened(model, 44)}: {exponent}")
    look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 5, "linestyle": "none", "elinewidth": 1.2}
    halves = [_half(point) or 0.0 for point in points]
    above.errorbar(frames, [point.value or 0.0 for point in points], yerr=halves, **look)
    below.errorbar(frames, law.residuals, yerr=halves, **look)


def _frames(point: Point) -> float:
    return point.usage.frames if point.usage else 0.0


def _half(point: Point) -> float | None:
    return None if point.low is None or point.high is None else (point.high - point.low) / 2
