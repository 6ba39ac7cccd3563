"""A power law through scores: score = a · framesᵇ, fitted as a straight line in logarithms.

Quicksviewer's paper (arXiv 2504.15270, abstract) reports a power law of the score over the number of input frames. Each
point weighs by its 95 % interval, where all of them have one. The exponent's interval is that of the least squares line
with Student's t, so it allows for scatter around the line and not for the choice of the formula.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter
from numpy.typing import NDArray
from scipy.special import stdtrit

from qsv_eval.leaderboard.plots.curves import lacking, logarithmic, score_label
from qsv_eval.leaderboard.plots.points import Point, lines_of, listed, split
from qsv_eval.leaderboard.plots.style import COLOURS, MARKERS, legend, new_figure, note, shortened
from qsv_eval.leaderboard.tables import half_width

__all__ = ["FEWEST", "PowerLaw", "fit_power_law", "power_law"]


FEWEST: Final = 3
"""Points at different numbers of frames without which there is no fit: through two, any line goes."""


class PowerLaw(NamedTuple):
    """A fitted law."""

    factor: float
    """The score at one frame."""
    exponent: float
    low: float
    """Lower end of the exponent's 95 % interval."""
    high: float
    residuals: tuple[float, ...]
    """Score less fitted score, in the score's own unit, in the order of the points."""
    r_squared: float
    """R² of the line in logarithms."""

    def at(self, frames: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the fitted scores at numbers of frames."""
        return np.asarray(self.factor * frames**self.exponent)


def fit_power_law(
    frames: Sequence[float], scores: Sequence[float], half_widths: Sequence[float | None]
) -> PowerLaw | None:
    """Fit a law; None where there are fewer than `FEWEST` different numbers of frames, or a number that is not above 0.

    Args:
        frames: of each point.
        scores: of each point.
        half_widths: half of each score's 95 % interval.
    """
    x_raw, y_raw = np.array(frames, float), np.array(scores, float)
    if len(np.unique(x_raw)) < FEWEST or (x_raw <= 0).any() or (y_raw <= 0).any():
        return None
    x, y = np.log(x_raw), np.log(y_raw)
    weights = _weights(y_raw, half_widths)
    mean_x, mean_y = np.average(x, weights=weights), np.average(y, weights=weights)
    spread = np.sum(weights * (x - mean_x) ** 2)
    exponent = float(np.sum(weights * (x - mean_x) * (y - mean_y)) / spread)
    intercept = float(mean_y - exponent * mean_x)
    off = y - intercept - exponent * x
    error = np.sqrt(np.sum(weights * off**2) / (len(x) - 2) / spread)
    # A quantile of Student's t; importing all of scipy.stats for it takes half a second.
    half = float(stdtrit(len(x) - 2, 0.975) * error)
    total = float(np.sum(weights * (y - mean_y) ** 2))
    factor = float(np.exp(intercept))
    return PowerLaw(
        factor,
        exponent,
        exponent - half,
        exponent + half,
        tuple((y_raw - factor * x_raw**exponent).tolist()),
        1 - float(np.sum(weights * off**2)) / total if total else 1.0,
    )


def _weights(scores: NDArray[np.float64], half_widths: Sequence[float | None]) -> NDArray[np.float64]:
    """Weigh by one over the variance of the score's logarithm; alike where an interval is missing or has no width."""
    if any(not half for half in half_widths):
        return np.ones_like(scores)
    return np.asarray((scores / np.array(half_widths, float)) ** 2)


_AS_MANY: Final = 1.05
"""Points are at different frames where one has more than this times the other's."""


def power_law(task: str, points: Sequence[Point]) -> Figure | None:
    """Draw fits of score = a · framesᵇ over frames really used, with residuals; None if no line has enough points."""
    drawn, left = split(points, _unfit)
    lines = {model: _once(own) for model, own in lines_of(drawn).items()}
    again = [point.name for point in drawn if not any(point in own for own in lines.values())]
    left += [f"left out, almost the same frames as another point: {listed(again)}"] if again else []
    fits = {model: (own, _fit(own)) for model, own in lines.items()}
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


def _once(points: Sequence[Point]) -> list[Point]:
    """Return one point of those at almost the same frames: below the length of the videos a limit changes nothing.

    Each would count as a measurement of its own, and make the exponent seem surer than it is.
    """
    kept = list[Point]()
    for point in sorted(points, key=_frames):
        if not kept or _frames(point) > _AS_MANY * _frames(kept[-1]):
            kept.append(point)
    return kept


def _fit(points: Sequence[Point]) -> PowerLaw | None:
    halves = [half_width(point.value, point.low, point.high) for point in points]
    return fit_power_law([_frames(point) for point in points], [point.value or 0.0 for point in points], halves)


def _draw(above: Axes, below: Axes, number: int, model: str, points: Sequence[Point], law: PowerLaw) -> None:
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    frames = [_frames(point) for point in points]
    line = np.geomspace(min(frames), max(frames), 50)
    exponent = f"b = {law.exponent:.3f} [{law.low:.3f}, {law.high:.3f}], R² = {law.r_squared:.2f}"
    above.plot(line, law.at(line), color=colour, linewidth=1.2, label=f"{shortened(model, 44)}: {exponent}")
    look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 5, "linestyle": "none", "elinewidth": 1.2}
    bars = np.array([_bars(point) for point in points]).T
    above.errorbar(frames, [point.value or 0.0 for point in points], yerr=bars, **look)
    below.errorbar(frames, law.residuals, yerr=bars, **look)


def _frames(point: Point) -> float:
    return point.usage.frames if point.usage else 0.0


def _bars(point: Point) -> tuple[float, float]:
    """Return how far the interval reaches below and above the score."""
    if point.value is None or point.low is None or point.high is None:
        return 0.0, 0.0
    return point.value - point.low, point.high - point.value
