"""Scores of a task's groups as bars, a colour for each run; hatched where the score may yet change."""

from collections.abc import Sequence
from typing import Any, Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qsv_eval.leaderboard.plots.style import COLOURS, legend, new_figure, note, shortened
from qsv_eval.leaderboard.text import natural

__all__ = ["group_bars"]

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
        *([f"left out, for want of room: {more_runs} runs"] if more_runs > 0 else []),
        *([f"left out, for want of room: {more_groups} groups"] if more_groups > 0 else []),
    ]
