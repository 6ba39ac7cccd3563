"""A power law through scores: score = a · framesᵇ, fitted as a straight line in logarithms.

Quicksviewer's paper (arXiv 2504.15270, abstract) reports a power law of the score over the number of input frames. Each
point weighs by its 95 % interval, where all of them have one. The exponent's interval is that of the least squares line
with Student's t, so it allows for scatter around the line and not for the choice of the formula.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

__all__ = ["FEWEST", "PowerLaw", "fit_power_law"]

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
    """Of the line in logarithms."""

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
