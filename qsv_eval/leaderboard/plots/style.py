"""Style of the plots, and a writer that gives the same bytes for the same data."""

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["COLOURS", "HOLLOW", "MARKERS", "legend", "new_figure", "note", "save", "shortened", "style"]

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#6B6B6B", "#8C5A2B")
"""Okabe and Ito's colours, which are distinct with any colour vision, and two more."""
MARKERS: Final = ("o", "s", "D", "^", "v", "P", "X", "*")
HOLLOW: Final[dict[str, Any]] = {"linestyle": "none", "markerfacecolor": "white", "zorder": 3}
"""Style of points whose score may still change; they are drawn over the line."""

_RC: Final[dict[Any, Any]] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#555555",
    "axes.grid": True,
    "axes.labelcolor": "#222222",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    # Ids in an SVG file are hashes of their content and this salt.
    "svg.hashsalt": "qsv-eval",
    "text.parse_math": False,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
}
_LONGEST: Final = 44


@contextmanager
def style() -> Iterator[None]:
    """Set the style for drawing and writing, regardless of the user's own settings."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)
        yield


def new_figure(width: float, height: float, rows: int = 1, ratios: Sequence[float] | None = None) -> tuple[Figure, Any]:
    """Return a figure with a size in inches, and its axes, one above the other with a common x axis."""
    figure = Figure(figsize=(width, height))
    grid = {"height_ratios": list(ratios)} if ratios else {}
    axes = figure.subplots(rows, 1, sharex=rows > 1, squeeze=False, gridspec_kw=grid)
    return figure, list(axes[:, 0])


_HANDLE, _ACROSS = 6, 80
"""Widths in characters: a legend's handle, and the whole figure."""


def note(axes: Axes, lines: Sequence[str]) -> None:
    """Write lines below the axes."""
    if lines:
        label = axes.get_xlabel()
        text = "\n".join(textwrap.fill(shortened(line, 2 * _ACROSS), _ACROSS) for line in lines)
        axes.set_xlabel(f"{label}\n\n{text}" if label else text)


def legend(figure: Figure, axes: Axes) -> None:
    """Put the legend below the figure, in as many columns as fit."""
    handles, names = axes.get_legend_handles_labels()
    longest = max(map(len, names), default=1) + _HANDLE
    figure.legend(handles, names, loc="outside lower center", ncols=max(1, min(3, _ACROSS // longest)))


def shortened(text: str, longest: int = _LONGEST) -> str:
    """Return a text of at most `longest` characters."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as SVG (transparent) and PNG (on white); return the files."""
    # The layout takes as long as drawing, so it is computed once for both files.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    svg, png = stem.with_suffix(".svg"), stem.with_suffix(".png")
    figure.savefig(svg, transparent=True, metadata={"Date": None, "Creator": None})
    figure.savefig(png, dpi=160, facecolor="white", metadata={"Software": None})
    return [svg, png]
