"""The card's pictures: the losses of the course, and where the model cuts clips, beside true cuts and equal cubes."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qsv_eval.demo.draw import sampled_frames
from qsv_eval.demo.scene import ClipSpec
from qsv_eval.model_adapters.quicksviewer import Quicksviewer
from qsv_eval.tiny.evaluate import starts_of

__all__ = ["draw_course", "draw_cubes"]

_RULES = ("learned", "equal")
_ROW_INCHES, _WIDTH_INCHES = 1.7, 12.0


def draw_course(runs: Sequence[Path], path: Path) -> Path:
    """Draw the losses of a course's recipes, one behind the other over the steps, and the accuracy it was tried at.

    Args:
        runs: folders of the recipes' runs, in order; each has a `metrics.jsonl`.
        path: picture to write.
    """
    figure = Figure(figsize=(_WIDTH_INCHES, 4), layout="constrained")
    losses = figure.add_subplot()
    accuracies = losses.twinx()
    begun = 0
    for run in runs:
        table = pd.read_json(run / "metrics.jsonl", lines=True)
        if "loss" in table:
            logged = table.dropna(subset=["loss"])
            losses.plot(begun + logged["step"], logged["loss"], color="tab:blue")
        losses.axvline(begun, color="grey", linewidth=0.6)
        losses.annotate(
            run.name.removeprefix("tiny_"),
            (begun, 1),
            xycoords=losses.get_xaxis_transform(),
            xytext=(3, -4),
            textcoords="offset points",
            rotation=90,
            va="top",
            fontsize=8,
        )
        if "eval_accuracy" in table:
            accuracies.plot(begun + table["step"], table["eval_accuracy"], "o", color="tab:red", clip_on=False)
        begun += int(table["step"].max())
    losses.set_yscale("log")
    losses.set_xlim(0, begun)
    accuracies.set_ylim(0, 1)
    losses.set_xlabel("step")
    losses.set_ylabel("loss", color="tab:blue")
    accuracies.set_ylabel("accuracy on clips of val", color="tab:red")
    figure.savefig(path, dpi=100)
    return path


def draw_cubes(model: Quicksviewer, specs: Sequence[ClipSpec], path: Path) -> Path:
    """Draw a row for each clip: its sampled frames, below them the cubes by each rule, and lines at the true cuts."""
    figure = Figure(figsize=(_WIDTH_INCHES, _ROW_INCHES * len(specs)), layout="constrained")
    rows = figure.subplots(len(specs), 1, squeeze=False)
    for axes, spec in zip(rows[:, 0], specs, strict=True):
        frames_THWC = sampled_frames(spec)
        starts = starts_of(model, model.summarise_frames(frames_THWC))
        _draw_clip(axes, spec, frames_THWC, [starts[rule] for rule in _RULES])
    figure.savefig(path, dpi=100)
    return path


def _draw_clip(axes: Axes, spec: ClipSpec, frames_THWC: np.ndarray, rows: Sequence[set[int]]) -> None:
    frames = len(frames_THWC)
    height = frames / 14  # of the strip of frames, in the axes' units: frames along, rows of 1 below
    for number, frame_HWC in enumerate(frames_THWC):
        axes.imshow(frame_HWC, extent=(number + 0.04, number + 0.96, 0.1, height), aspect="auto")
    for row, starts in enumerate(rows):
        edges = [*sorted(starts), frames]
        for cube, (start, end) in enumerate(pairwise(edges)):
            found = start in spec.cuts
            colour = (
                ("tab:blue" if cube % 2 else "lightsteelblue") if row == 0 else ("grey" if cube % 2 else "lightgrey")
            )
            axes.barh(-0.5 - row, end - start, left=start, height=0.8, color=colour)
            if found:
                axes.plot(start, -0.5 - row, marker="D", color="tab:red", markersize=5, clip_on=False)
    for cut in spec.cuts:
        axes.axvline(cut, color="tab:red", linewidth=1.2)
    axes.set_xlim(0, frames)
    axes.set_ylim(-len(rows) - 0.1, height)
    axes.set_yticks([-0.5 - row for row in range(len(rows))], _RULES)
    learned, equal = (len(starts & set(spec.cuts)) for starts in rows)
    axes.set_title(
        f"{spec.clip_id}: {len(spec.cuts)} true cuts; {learned} found by learned cubes, {equal} by equal ones",
        fontsize=9,
        loc="left",
    )
    axes.set_xlabel("sampled frame, one a second", fontsize=8)
