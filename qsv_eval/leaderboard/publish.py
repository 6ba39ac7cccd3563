"""A leaderboard to look at: plots, and a page with a browser for samples. Run by run, so that memory stays small."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from qsv_eval.leaderboard.origins import Origin, origins_of
from qsv_eval.leaderboard.page.render import Content, write_index
from qsv_eval.leaderboard.page.scores import score_entries
from qsv_eval.leaderboard.page.shelf import Shelf, chosen_lines, chosen_samples, write_shelf
from qsv_eval.leaderboard.page.sidefiles import SideFiles
from qsv_eval.leaderboard.page.videos import Videos
from qsv_eval.leaderboard.peers import PUBLISHED
from qsv_eval.leaderboard.plots.draw import Plot, write_plots
from qsv_eval.leaderboard.plots.points import points_of
from qsv_eval.leaderboard.samples import outcomes, read_samples
from qsv_eval.leaderboard.usage import Usage
from qsv_eval.leaderboard.write import Leaderboard
from qsv_eval.model_adapters.errors import SetupError

__all__ = ["PLOTS", "publish"]

PLOTS = "plots"
"""Name of the folder of plots."""

Place = tuple[str, str]
"""Results file and the task's name in it: a cell of a sweep has its settings in it."""


@dataclass
class _Gathered:
    """What the runs' own files say."""

    usage: dict[Place, Usage] = field(default_factory=dict)
    shelves: dict[Place, Shelf] = field(default_factory=dict)


def publish(
    made: Leaderboard, folders: Sequence[Path], output: Path, *, page: bool, plots: bool, samples_per_task: int
) -> list[Path]:
    """Write the plots and the page of a leaderboard; return the plots as SVG and the page.

    Args:
        made: the leaderboard.
        folders: those that it was made of.
        output: where its tables are.
        page: whether to write `index.html` and its side files.
        plots: whether to write plots; without them, the page has none.
        samples_per_task: of each task of each run so many samples are on the page at the most, wrong ones first.

    Raises:
        SetupError: a folder cannot be written to.
    """
    if not page and not plots:
        return []
    files = SideFiles(output)
    gathered = _gather(made, origins_of(folders), files, samples_per_task if page else 0)
    drawn: list[Plot] = []
    if plots:
        points = points_of(made.board.scores, gathered.usage)
        drawn = write_plots(points, made.board.scores, output / PLOTS)
    written = [plot.svg for plot in drawn]
    if page:
        entries = score_entries(made.scores, gathered.usage, gathered.shelves)
        has_samples = any(shelf.key for shelf in gathered.shelves.values())
        why = "" if has_samples else "There are no samples files beside the results, or none were wanted."
        written.append(write_index(Content(made, entries, drawn, why), output, files))
        files.clear_others()
    return written


def _gather(made: Leaderboard, origins: Mapping[str, Origin], files: SideFiles, most: int) -> _Gathered:
    scores = made.board.scores
    shown = scores[scores["shown"] & (scores["field"] == "") & (scores["kind"] != PUBLISHED)]
    gathered, videos = _Gathered(), Videos()
    for name, rows in shown.groupby("file", sort=True):
        origin, file = origins[str(name)], str(name)
        chosen: dict[str, tuple[pd.DataFrame, int]] = {}
        for task in rows["cell"]:
            gathered.usage |= {(file, task): used} if (used := origin.usage(task)) else {}
            found = _samples(origin, task, most)
            if isinstance(found, str):
                gathered.shelves[file, task] = Shelf("", 0, 0, found)
            else:
                chosen[task] = found
        records = origin.records({task: set(samples["id"]) for task, (samples, _) in chosen.items()})
        hashes = dict(zip(rows["cell"], rows["protocol"], strict=True))
        for task, (samples, total) in chosen.items():
            protocol = made.board.protocols[hashes[task]]
            place = (file, task)
            gathered.shelves[place] = write_shelf(place, samples, total, records, protocol, videos, files)
    return gathered


def _samples(origin: Origin, task: str, most: int) -> tuple[pd.DataFrame, int] | str:
    """Return those samples of a task that the page shows, and how many there are; or why there are none."""
    if not most:
        return "none were wanted"
    if (file := origin.samples(task)) is None:
        return "there is no samples file beside the results"
    try:
        said = outcomes(file)
        samples = read_samples(file, None if said is None else chosen_lines(said, most))
    except SetupError as error:
        # One damaged file is no reason to have no page; and of its path the page says only the name.
        return str(error).replace(str(file.path), file.path.name)
    return chosen_samples(samples, most), len(samples if said is None else said)
