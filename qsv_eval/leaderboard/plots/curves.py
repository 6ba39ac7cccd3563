"""Plots of scores over frames and tokens, of the time of a question by stage, and of scores by group."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from qsv_eval.leaderboard.plots.points import Point, caveat_notes, group_by_line, split
from qsv_eval.leaderboard.plots.style import COLOURS, HOLLOW, MARKERS, legend, new_figure, note, shortened
from qsv_eval.leaderboard.records import PARTS, TaskCost
from qsv_eval.leaderboard.safe_text import natural
from qsv_eval.model_adapters.plurals import counted

__all__ = ["against_frames", "against_tokens", "cost_breakdown", "group_bars", "missing_data", "score_label"]
__all__ += ["set_log2_axis"]


def against_frames(task: str, points: Sequence[Point]) -> Figure | None:
    """Draw scores and costs against the mean number of frames used; None if there is nothing to draw.

    Costs are tokens of the prompt, because variants of a sweep share the reading and encoding of frames, so their
    seconds do not compare.
    """
    drawn, notes = split(points, missing_data)
    if not drawn:
        return None
    figure, (above, below) = new_figure(6.4, 5.4, rows=2, ratios=(2, 1))
    _draw_lines(above, drawn, lambda usage: usage.frames, ranges=True)
    for index, line in enumerate(group_by_line(drawn).values()):
        used = [(point.usage.frames, point.usage.prompt_tokens) for point in line if point.usage]
        frames, tokens = zip(*sorted(used), strict=True)
        below.plot(frames, tokens, **_line_style(index))
    above.set_title(shortened(f"{task}: score against frames", 70))
    above.set_ylabel(score_label(drawn))
    below.set_ylabel("tokens of a question")
    below.set_ylim(0, 1.15 * max(point.usage.prompt_tokens for point in drawn if point.usage) or None)
    set_log2_axis(below, [point.usage.frames for point in drawn if point.usage])
    below.set_xlabel("frames really used of a question: mean, and 5th to 95th percentile")
    note(below, [*notes, *caveat_notes(drawn)])
    legend(figure, above)
    return figure


def against_tokens(task: str, points: Sequence[Point]) -> Figure | None:
    """Draw scores against the mean number of visual tokens of a question; None if there is nothing to draw."""
    drawn, notes = split(points, lambda point: missing_data(point) or ("" if _tokens(point) else "no visual tokens"))
    if not drawn:
        return None
    figure, (axes,) = new_figure(6.4, 3.9)
    _draw_lines(axes, drawn, lambda usage: usage.visual_tokens)
    axes.set_title(shortened(f"{task}: score against visual tokens", 70))
    axes.set_ylabel(score_label(drawn))
    set_log2_axis(axes, [_tokens(point) for point in drawn])
    axes.set_xlabel("visual tokens of a question, mean")
    note(axes, [*notes, *caveat_notes(drawn)])
    legend(figure, axes)
    return figure


def missing_data(point: Point) -> str:
    """Return what a point lacks to be drawn; empty if nothing."""
    if point.value is None:
        return "no score"
    if point.usage is None:
        return "frames really used are not known"
    return "" if point.usage.frames > 0 else "no frames used"


def score_label(points: Sequence[Point]) -> str:
    """Return the label of a score axis."""
    scales = {point.scale for point in points}
    return "score, %" if scales == {"percent"} else f"score, {' or '.join(sorted(scales))}"


def set_log2_axis(axes: Axes, values: Sequence[float]) -> None:
    """Scale the x axis by powers of two, with plain numbers as labels."""
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    if max(values) < 2 * min(values):
        axes.set_xlim(min(values) / 2, max(values) * 2)


def _draw_lines(
    axes: Axes, points: Sequence[Point], x_of: Callable[[TaskCost], float], *, ranges: bool = False
) -> None:
    """Draw the lines with vertical intervals and, if `ranges`, the horizontal range of frames."""
    for index, (name, line) in enumerate(group_by_line(points).items()):
        style = _line_style(index)
        placed = sorted(
            (x_of(point.usage), point.value, point) for point in line if point.usage and point.value is not None
        )
        axes.plot([x for x, _, _ in placed], [y for _, y, _ in placed], label=shortened(name), **style)
        hollow = [(x, y) for x, y, point in placed if point.caveat]
        if hollow:
            axes.plot(*zip(*hollow, strict=True), **style | HOLLOW)
        intervals = [(x, one.low, one.high) for x, _, one in placed if one.low is not None and one.high is not None]
        if intervals:
            axes.vlines(*zip(*intervals, strict=True), color=style["color"], linewidth=1.2, alpha=0.8)
        if ranges and placed:
            across = [(y, max(one.usage.frames_p5, 0.5), one.usage.frames_p95) for _, y, one in placed if one.usage]
            axes.hlines(*zip(*across, strict=True), color=style["color"], alpha=0.35)


def _line_style(index: int) -> dict[str, Any]:
    return {
        "color": COLOURS[index % len(COLOURS)],
        "marker": MARKERS[index % len(MARKERS)],
        "markersize": 5,
        "linewidth": 1.4,
    }


def _tokens(point: Point) -> float:
    return point.usage.visual_tokens if point.usage else 0.0


_MAX_BARS: Final = 24
"""Number of bars that fit."""


def cost_breakdown(task: str, points: Sequence[Point]) -> Figure | None:
    """Draw the seconds of a question by part; None if they are unknown for all runs."""
    drawn, notes = split(points, lambda point: "" if point.usage else "its seconds are not known")
    if len(drawn) > _MAX_BARS:
        notes.append(f"left out, for want of room: {counted(len(drawn) - _MAX_BARS, 'run')}")
        drawn = drawn[:_MAX_BARS]
    if not drawn:
        return None
    figure, (axes,) = new_figure(7.2, 1.6 + 0.42 * len(drawn))
    rows = range(len(drawn))
    starts = [0.0] * len(drawn)
    for index, part in enumerate(PARTS):
        seconds = [point.usage.seconds[part] if point.usage else 0.0 for point in drawn]
        axes.barh([row - 0.12 for row in rows], seconds, 0.5, left=starts, color=COLOURS[index], label=part)
        starts = [start + more for start, more in zip(starts, seconds, strict=True)]
    decoding = [point.usage.read_s if point.usage else 0.0 for point in drawn]
    style = {"color": "#BBBBBB", "hatch": "////", "edgecolor": "white", "label": "decoding, in the background"}
    axes.barh([row + 0.28 for row in rows], decoding, 0.22, **style)
    axes.set_yticks(list(rows), [f"{shortened(point.model)}\n{shortened(point.setting)}".strip() for point in drawn])
    axes.set_ylim(len(drawn) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set_title(shortened(f"{task}: seconds for a question", 70))
    axes.set_xlabel("s")
    note(axes, notes)
    legend(figure, axes)
    return figure


_MAX_RUNS: Final = 8
_MAX_GROUPS: Final = 30


def group_bars(task: str, field: str, scores: pd.DataFrame) -> Figure | None:
    """Draw the groups of one field; None if there is nothing to draw.

    Args:
        task: name of the task.
        field: field of the breakdown.
        scores: measured scores of its groups that are in the tables.
    """
    known = scores[scores["value"].notna()]
    runs = sorted(
        {(row["model"], row["setting"]) for row in known.to_dict("records")}, key=lambda run: natural(str(run))
    )
    groups = list(dict.fromkeys(known["group"]))
    if not groups:
        return None
    notes = _left_out(scores, runs, groups)
    runs, groups = runs[:_MAX_RUNS], groups[:_MAX_GROUPS]
    figure, (axes,) = new_figure(6.8, 1.5 + len(groups) * (0.16 + 0.15 * len(runs)))
    for index, (model, setting) in enumerate(runs):
        rows = known[(known["model"] == model) & (known["setting"] == setting)].to_dict("records")
        offset = (index - (len(runs) - 1) / 2) * 0.8 / len(runs)
        label = shortened(" · ".join(filter(None, [model, setting])), 80)
        _draw_bars(axes, rows, groups, offset, 0.8 / len(runs), color=COLOURS[index % len(COLOURS)], label=label)
    axes.set_yticks(range(len(groups)), [shortened(group, 36) for group in groups])
    axes.set_ylim(len(groups) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set_title(shortened(f"{task}: score by {'further average' if field == 'also' else field}", 70))
    scale = known["scale"].iloc[0]
    axes.set_xlabel("score, %" if scale == "percent" else "score")
    if hatched := sum(bar.get_hatch() is not None for bar in axes.patches):
        notes.append(f"hatched, some questions have no score: {counted(hatched, 'bar')}")
    note(axes, notes)
    legend(figure, axes)
    return figure


def _draw_bars(
    axes: Axes, rows: Sequence[dict[Any, Any]], groups: Sequence[str], offset: float, height: float, **style: Any
) -> None:
    y_of = {group: index + offset for index, group in enumerate(groups)}
    drawn = [row for row in rows if row["group"] in y_of]
    ys = [y_of[row["group"]] for row in drawn]
    bars = axes.barh(ys, [row["value"] for row in drawn], height * 0.92, alpha=0.85, **style)
    for bar, row in zip(bars, drawn, strict=True):
        if pd.notna(row["complete"]) and not row["complete"]:
            bar.set(facecolor="white", edgecolor=style["color"], hatch="////")
    intervals = [
        (y, row["low"], row["high"]) for y, row in zip(ys, drawn, strict=True) if pd.notna(row["low"] + row["high"])
    ]
    if intervals:
        axes.hlines(*zip(*intervals, strict=True), color="#333333", linewidth=0.9)


def _left_out(scores: pd.DataFrame, runs: Sequence[Any], groups: Sequence[str]) -> list[str]:
    without_score = int(scores["value"].isna().sum())
    more_runs, more_groups = len(runs) - _MAX_RUNS, len(groups) - _MAX_GROUPS
    return [
        *([f"left out, no score: {counted(without_score, 'bar')}"] if without_score else []),
        *([f"left out, for want of room: {counted(more_runs, 'run')}"] if more_runs > 0 else []),
        *([f"left out, for want of room: {counted(more_groups, 'group')}"] if more_groups > 0 else []),
    ]
