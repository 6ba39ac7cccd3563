"""Plots of scores over frames and tokens, of the time of a question by stage, and of scores by group."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from qsv_eval.leaderboard.plots.points import Point, doubtful, lines_of, split
from qsv_eval.leaderboard.plots.style import COLOURS, HOLLOW, MARKERS, legend, new_figure, note, shortened
from qsv_eval.leaderboard.records import PARTS, TaskCost
from qsv_eval.leaderboard.safe_text import natural
from qsv_eval.model_adapters.plurals import counted

__all__ = ["against_frames", "against_tokens", "cost_breakdown", "group_bars", "lacking", "logarithmic", "score_label"]


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


def _curves(axes: Axes, points: Sequence[Point], place: Callable[[TaskCost], float], *, ranges: bool = False) -> None:
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


_MOST: Final = 24
"""Bars that fit."""


def cost_breakdown(task: str, points: Sequence[Point]) -> Figure | None:
    """Draw seconds for a question by part; None if they are known of no run."""
    drawn, left = split(points, lambda point: "" if point.usage else "its seconds are not known")
    if len(drawn) > _MOST:
        left.append(f"left out, for want of room: {counted(len(drawn) - _MOST, 'run')}")
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


_MOST_RUNS: Final = 8
_MOST_GROUPS: Final = 30


def group_bars(task: str, field: str, scores: pd.DataFrame) -> Figure | None:
    """Draw the groups of one field; None if there is nothing to draw.

    Args:
        task: its name.
        field: what it is broken down by.
        scores: the measured scores of these groups that are in the tables.
    """
    known = scores[scores["value"].notna()]
    runs = sorted(
        {(row["model"], row["setting"]) for row in known.to_dict("records")}, key=lambda run: natural(str(run))
    )
    groups = list(dict.fromkeys(known["group"]))
    if not groups:
        return None
    notes = _left_out(scores, runs, groups)
    runs, groups = runs[:_MOST_RUNS], groups[:_MOST_GROUPS]
    figure, (axes,) = new_figure(6.8, 1.5 + len(groups) * (0.16 + 0.15 * len(runs)))
    for number, (model, setting) in enumerate(runs):
        own = known[(known["model"] == model) & (known["setting"] == setting)].to_dict("records")
        offset = (number - (len(runs) - 1) / 2) * 0.8 / len(runs)
        label = shortened(" · ".join(filter(None, [model, setting])), 80)
        _bars(axes, own, groups, offset, 0.8 / len(runs), color=COLOURS[number % len(COLOURS)], label=label)
    axes.set_yticks(range(len(groups)), [shortened(group, 36) for group in groups])
    axes.set_ylim(len(groups) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set_title(shortened(f"{task}: score by {'further average' if field == 'also' else field}", 70))
    scale = known["scale"].iloc[0]
    axes.set_xlabel("score, %" if scale == "percent" else "score")
    if unsure := sum(bar.get_hatch() is not None for bar in axes.patches):
        notes.append(f"hatched, some questions have no score: {unsure} bar{'' if unsure == 1 else 's'}")
    note(axes, notes)
    legend(figure, axes)
    return figure


def _bars(
    axes: Axes, own: Sequence[dict[Any, Any]], groups: Sequence[str], offset: float, height: float, **look: Any
) -> None:
    place = {group: number + offset for number, group in enumerate(groups)}
    shown = [row for row in own if row["group"] in place]
    at = [place[row["group"]] for row in shown]
    bars = axes.barh(at, [row["value"] for row in shown], height * 0.92, alpha=0.85, **look)
    for bar, row in zip(bars, shown, strict=True):
        if pd.notna(row["complete"]) and not row["complete"]:
            bar.set(facecolor="white", edgecolor=look["color"], hatch="////")
    known = [
        (y, row["low"], row["high"]) for y, row in zip(at, shown, strict=True) if pd.notna(row["low"] + row["high"])
    ]
    if known:
        axes.hlines(*zip(*known, strict=True), color="#333333", linewidth=0.9)


def _left_out(scores: pd.DataFrame, runs: Sequence[Any], groups: Sequence[str]) -> list[str]:
    without = int(scores["value"].isna().sum())
    more_runs, more_groups = len(runs) - _MOST_RUNS, len(groups) - _MOST_GROUPS
    return [
        *([f"left out, no score: {without} bars"] if without else []),
        *([f"left out, for want of room: {counted(more_runs, 'run')}"] if more_runs > 0 else []),
        *([f"left out, for want of room: {more_groups} groups"] if more_groups > 0 else []),
    ]
