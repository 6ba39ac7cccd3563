"""A leaderboard to look at: plots, and a page with a browser for samples. Run by run, so that memory stays small."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from qsv_eval.leaderboard.page.data_files import SideFiles
from qsv_eval.leaderboard.page.read_run import RunFiles, read_run
from qsv_eval.leaderboard.page.render import Content, write_index
from qsv_eval.leaderboard.page.sample_pages import SamplePage, write_sample_page
from qsv_eval.leaderboard.page.table_data import score_entries
from qsv_eval.leaderboard.page.thumbnails import VideoClips
from qsv_eval.leaderboard.parallel import ParallelMap, gc_paused, parallel_map
from qsv_eval.leaderboard.plots.draw import drawings_of, write_plots
from qsv_eval.leaderboard.plots.points import points_of
from qsv_eval.leaderboard.records import PUBLISHED, TaskCost
from qsv_eval.leaderboard.run_index import RunOrigin, origins_of
from qsv_eval.leaderboard.write import Leaderboard

__all__ = ["PLOTS", "publish"]

PLOTS = "plots"
"""Name of the folder of plots."""

Place = tuple[str, str]
"""Results file and task as the tables name them: a cell of a sweep has its settings in the task's name."""


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
    points = points_of(made.board.scores, usage) if plots else {}
    drawings = drawings_of(points, made.board.scores, output / PLOTS) if plots else []
    written: list[Path] = []
    jobs = len(drawings) + (shown["file"].nunique() if page and samples_per_task else 0)
    with parallel_map(jobs, preload=[read_run.__module__, write_plots.__module__]) as spread:
        drawn = write_plots(drawings, output / PLOTS, spread) if plots else []
        written += [plot.svg for plot in drawn]
        if page:
            with gc_paused():
                shelves = _fill(made, shown, origins, files, samples_per_task, spread)
            entries = score_entries(made.scores, usage, shelves)
            has_samples = any(shelf.key for shelf in shelves.values())
            why = "" if has_samples else "There are no samples files beside the results, or none were wanted."
            written.append(write_index(Content(made, entries, drawn, why), output, files))
            files.finish()
    return written


def _shown(made: Leaderboard) -> pd.DataFrame:
    scores = made.board.scores
    return scores[scores["shown"] & (scores["field"] == "") & (scores["kind"] != PUBLISHED)]


def _usage(shown: pd.DataFrame, origins: Mapping[str, RunOrigin]) -> dict[Place, TaskCost]:
    places = zip(shown["file"], shown["cell"], strict=True)
    stated = {(file, task): origins[file].usage(task) for file, task in places}
    return {place: usage for place, usage in stated.items() if usage}


def _fill(
    made: Leaderboard,
    shown: pd.DataFrame,
    origins: Mapping[str, RunOrigin],
    files: SideFiles,
    most: int,
    spread: ParallelMap,
) -> dict[Place, SamplePage]:
    """Write the shelves of all runs."""
    runs = {str(name): rows for name, rows in shown.groupby("file", sort=True)}
    asked = (
        RunFiles({task: origins[name].samples(task) for task in rows["cell"]}, origins[name].journal, most)
        for name, rows in runs.items()
    )
    shelves, videos = {}, VideoClips()
    for (name, rows), found in zip(runs.items(), spread(read_run, asked), strict=True):
        for task, protocol in zip(rows["cell"], rows["protocol"], strict=True):
            chosen = found.chosen[task]
            if isinstance(chosen, str):
                shelves[name, task] = SamplePage("", 0, 0, chosen)
                continue
            record = made.board.protocols[protocol]
            shelves[name, task] = write_sample_page((name, task), chosen, found.looked, record, videos, files)
    return shelves
