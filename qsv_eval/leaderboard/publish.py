"""A leaderboard to look at: plots, and a page with a browser for samples. Run by run, so that memory stays small."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import pandas as pd

from qsv_eval.leaderboard.origins import Origin, origins_of
from qsv_eval.leaderboard.page.render import Content, write_index
from qsv_eval.leaderboard.page.scores import score_entries
from qsv_eval.leaderboard.page.shelf import Shelf, chosen_lines, chosen_samples, write_shelf
from qsv_eval.leaderboard.page.sidefiles import SideFiles
from qsv_eval.leaderboard.page.videos import Videos
from qsv_eval.leaderboard.plots.aside import drawing
from qsv_eval.leaderboard.plots.points import points_of
from qsv_eval.leaderboard.records import PUBLISHED
from qsv_eval.leaderboard.samples import outcomes, read_samples
from qsv_eval.leaderboard.usage import Usage
from qsv_eval.leaderboard.write import Leaderboard
from qsv_eval.model_adapters.errors import SetupError

__all__ = ["PLOTS", "publish"]

PLOTS = "plots"
"""Name of the folder of plots."""

Place = tuple[str, str]
"""Results file and the task's name in it: a cell of a sweep has its settings in it."""


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
    origins = origins_of(folders)
    shown = _shown(made)
    usage = _usage(shown, origins)
    scores = made.board.scores
    with drawing(points_of(scores, usage), scores, output / PLOTS) if plots else nullcontext(list) as drawn:
        shelves = _shelves(made, shown, origins, files, samples_per_task) if page else {}
        figures = drawn()
    written = [plot.svg for plot in figures]
    if page:
        entries = score_entries(made.scores, usage, shelves)
        has_samples = any(shelf.key for shelf in shelves.values())
        why = "" if has_samples else "There are no samples files beside the results, or none were wanted."
        written.append(write_index(Content(made, entries, figures, why), output, files))
        files.clear_others()
    return written


def _shown(made: Leaderboard) -> pd.DataFrame:
    scores = made.board.scores
    return scores[scores["shown"] & (scores["field"] == "") & (scores["kind"] != PUBLISHED)]


def _usage(shown: pd.DataFrame, origins: Mapping[str, Origin]) -> dict[Place, Usage]:
    places = zip(shown["file"], shown["cell"], strict=True)
    stated = {(file, task): origins[file].usage(task) for file, task in places}
    return {place: usage for place, usage in stated.items() if usage}


def _shelves(
    made: Leaderboard, shown: pd.DataFrame, origins: Mapping[str, Origin], files: SideFiles, most: int
) -> dict[Place, Shelf]:
    """Write the samples of all runs for the page."""
    shelves, videos = dict[Place, Shelf](), Videos()
    for name, rows in shown.groupby("file", sort=True):
        origin, file = origins[str(name)], str(name)
        chosen: dict[str, tuple[pd.DataFrame, int]] = {}
        for task in rows["cell"]:
            found = _samples(origin, task, most)
            if isinstance(found, str):
                shelves[file, task] = Shelf("", 0, 0, found)
            else:
                chosen[task] = found
        records = origin.records({task: set(samples["id"]) for task, (samples, _) in chosen.items()})
        hashes = dict(zip(rows["cell"], rows["protocol"], strict=True))
        for task, (samples, total) in chosen.items():
            place, protocol = (file, task), made.board.protocols[hashes[task]]
            shelves[place] = write_shelf(place, samples, total, records, protocol, videos, files)
    return shelves


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
