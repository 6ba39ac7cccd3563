"""Power law of scores over frames, score = a · framesᵇ: the fit, and its plot with residuals.

Quicksviewer's paper (arXiv 2504.15270, abstract) reports a power law of the score over the number of input frames. The
fit is a straight line in logarithms; points are weighted by their 95 % intervals if all have one. The exponent's
interval is that of least squares with Student's t: it covers scatter around the line, not the choice of the formula.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter
from numpy.typing import NDArray
from scipy.special import stdtrit

from qsv_eval.leaderboard.plots.curves import missing_data, score_label, set_log2_axis
from qsv_eval.leaderboard.plots.points import Point, group_by_line, listed, split
from qsv_eval.leaderboard.plots.style import COLOURS, MARKERS, legend, new_figure, note, shortened
from qsv_eval.leaderboard.tables import half_width

__all__ = ["MIN_FRAME_COUNTS", "PowerLaw", "fit_power_law", "power_law"]


MIN_FRAME_COUNTS: Final = 3
"""Smallest number of different frame counts for a fit; any line goes through two points."""


class PowerLaw(NamedTuple):
    """A fitted power law."""

    factor: float
    """Score at one frame."""
    exponent: float
    low: float
    """Lower end of the exponent's 95 % interval."""
    high: float
    """Upper end of the exponent's 95 % interval."""
    residuals: tuple[float, ...]
    """Scores minus fitted scores, in the unit of the scores, in the order of the points."""
    r_squared: float
    """R² of the line in logarithms."""

    def at(self, frames: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the fitted scores at numbers of frames."""
        return np.asarray(self.factor * frames**self.exponent)


def fit_power_law(
    frames: Sequence[float], scores: Sequence[float], half_widths: Sequence[float | None]
) -> PowerLaw | None:
    """Fit a power law; None if there are fewer than `MIN_FRAME_COUNTS` frame counts, or a number is not above 0.

    Args:
        frames: number of frames of each point.
        scores: score of each point.
        half_widths: half of the 95 % interval of each score.
    """
    frames_P, scores_P = np.array(frames, float), np.array(scores, float)
    if len(np.unique(frames_P)) < MIN_FRAME_COUNTS or (frames_P <= 0).any() or (scores_P <= 0).any():
        return None
    x, y = np.log(frames_P), np.log(scores_P)
    weights = _weights(scores_P, half_widths)
    mean_x, mean_y = np.average(x, weights=weights), np.average(y, weights=weights)
    # The closed form is exact where numpy.polyfit is not: scores that are all equal have an exponent of 0.
    spread = np.sum(weights * (x - mean_x) ** 2)
    exponent = float(np.sum(weights * (x - mean_x) * (y - mean_y)) / spread)
    intercept = float(mean_y - exponent * mean_x)
    unexplained = np.sum(weights * (y - intercept - exponent * x) ** 2)
    error = np.sqrt(unexplained / (len(x) - 2) / spread)
    # Importing all of scipy.stats for this quantile of Student's t takes half a second.
    half = float(stdtrit(len(x) - 2, 0.975) * error)
    total = float(np.sum(weights * (y - mean_y) ** 2))
    factor = float(np.exp(intercept))
    return PowerLaw(
        factor,
        exponent,
        exponent - half,
        exponent + half,
        tuple((scores_P - factor * frames_P**exponent).tolist()),
        1 - float(unexplained) / total if total else 1.0,
    )


def _weights(scores: NDArray[np.float64], half_widths: Sequence[float | None]) -> NDArray[np.float64]:
    """Return the inverse variances of the scores' logarithms; equal weights if an interval is missing or empty."""
    if any(not half for half in half_widths):
        return np.ones_like(scores)
    return np.asarray((scores / np.array(half_widths, float)) ** 2)


def power_law(task: str, points: Sequence[Point]) -> Figure | None:
    """Draw fits of score = a · framesᵇ over frames used, with residuals; None if no line has enough points."""
    usable, notes = split(points, _unusable)
    lines = {model: _distinct(line) for model, line in group_by_line(usable).items()}
    repeated = [point.name for point in usable if not any(point in line for line in lines.values())]
    notes += [f"left out, almost the same frames as another point: {listed(repeated)}"] if repeated else []
    fits = {model: _fit(line) for model, line in lines.items()}
    short = [model for model, law in fits.items() if law is None]
    notes += [f"not fitted, fewer than {MIN_FRAME_COUNTS} numbers of frames: {listed(short)}"] if short else []
    fitted = [(model, lines[model], law) for model, law in fits.items() if law is not None]
    if not fitted:
        return None
    figure, (above, below) = new_figure(6.4, 5.4, rows=2, ratios=(2, 1))
    for index, (model, line, law) in enumerate(fitted):
        _draw(above, below, index, model, line, law)
    above.set_title(shortened(f"{task}: power law of the score over frames", 70))
    above.set_ylabel(f"{score_label(usable)}, logarithmic")
    above.set_yscale("log")
    above.yaxis.set_major_locator(MaxNLocator(6))
    above.yaxis.set_major_formatter(ScalarFormatter())
    above.yaxis.set_minor_formatter(NullFormatter())
    below.axhline(0, color="#555555", linewidth=0.8)
    below.set_ylabel("score less fit")
    set_log2_axis(below, [_frames(point) for _, line, _ in fitted for point in line])
    below.set_xlabel("frames really used of a question, mean")
    note(below, notes)
    legend(figure, above)
    return figure


def _unusable(point: Point) -> str:
    """Return why a point is not fitted; empty if it is. A fit through unreliable scores would mislead."""
    no_logarithm = "" if point.value and point.value > 0 else "a score of 0 has no logarithm"
    return missing_data(point) or point.caveat or no_logarithm


_MIN_RATIO: Final = 1.05
"""Frame counts are different if one is more than this times the other."""


def _distinct(points: Sequence[Point]) -> list[Point]:
    """Return one point for each frame count.

    A limit longer than all videos changes nothing; such repeated measurements would make the exponent's interval too
    narrow.
    """
    kept = list[Point]()
    for point in sorted(points, key=_frames):
        if not kept or _frames(point) > _MIN_RATIO * _frames(kept[-1]):
            kept.append(point)
    return kept


def _fit(points: Sequence[Point]) -> PowerLaw | None:
    halves = [half_width(point.value, point.low, point.high) for point in points]
    return fit_power_law([_frames(point) for point in points], [point.value or 0.0 for point in points], halves)


def _draw(above: Axes, below: Axes, index: int, model: str, points: Sequence[Point], law: PowerLaw) -> None:
    colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
    frames = [_frames(point) for point in points]
    line = np.geomspace(min(frames), max(frames), 50)
    exponent = f"b = {law.exponent:.3f} [{law.low:.3f}, {law.high:.3f}], R² = {law.r_squared:.2f}"
    above.plot(line, law.at(line), color=colour, linewidth=1.2, label=f"{shortened(model, 44)}: {exponent}")
    style: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 5, "linestyle": "none", "elinewidth": 1.2}
    bars = np.array([_error_bar(point) for point in points]).T
    above.errorbar(frames, [point.value or 0.0 for point in points], yerr=bars, **style)
    below.errorbar(frames, law.residuals, yerr=bars, **style)


def _frames(point: Point) -> float:
    return point.usage.frames if point.usage else 0.0


def _error_bar(point: Point) -> tuple[float, float]:
    """Return the distances of the interval's ends from the score."""
    if point.value is None or point.low is None or point.high is None:
        return 0.0, 0.0
    return point.value - point.low, point.high - point.value
