"""Plots and the page of a leaderboard, made run by run to limit memory."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from qsv_eval.leaderboard.page.data_files import DataFiles
from qsv_eval.leaderboard.page.read_run import RunFiles, read_run
from qsv_eval.leaderboard.page.render import PageContent, write_index
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

ScoreKey = tuple[str, str]
"""Results file and task as named in the tables; the task's name includes a variant's settings."""


def publish(
    leaderboard: Leaderboard, folders: Sequence[Path], output: Path, *, page: bool, plots: bool, samples_per_task: int
) -> list[Path]:
    """Write the plots and the page of a leaderboard; return the plots as SVG and the page.

    Args:
        leaderboard: the leaderboard.
        folders: the folders that it was made from.
        output: folder of its tables.
        page: whether to write `index.html` and its data files.
        plots: whether to write plots; without them, the page has none.
        samples_per_task: limit of samples on the page for each task of each run, wrong ones first.

    Raises:
        SetupError: a folder cannot be written.
    """
    if not page and not plots:
        return []
    files = DataFiles(output)
    origins = origins_of(folders)
    shown = _shown(leaderboard)
    usage = _usage(shown, origins)
    scores = leaderboard.measured.scores
    drawings = drawings_of(points_of(scores, usage), scores, output / PLOTS) if plots else []
    written: list[Path] = []
    jobs = len(drawings) + (shown["file"].nunique() if page and samples_per_task else 0)
    with parallel_map(jobs, preload=[read_run.__module__, write_plots.__module__]) as mapped:
        drawn = write_plots(drawings, output / PLOTS, mapped) if plots else []
        written += [plot.svg for plot in drawn]
        if page:
            with gc_paused():
                pages = _write_sample_pages(leaderboard, shown, origins, files, samples_per_task, mapped)
            entries = score_entries(leaderboard.scores, usage, pages)
            has_samples = any(sample_page.key for sample_page in pages.values())
            reason = "" if has_samples else "There are no samples: no samples files were found, or the limit is 0."
            written.append(write_index(PageContent(leaderboard, entries, drawn, reason), output, files))
            files.finish()
    return written


def _shown(leaderboard: Leaderboard) -> pd.DataFrame:
    scores = leaderboard.measured.scores
    return scores[scores["shown"] & (scores["field"] == "") & (scores["kind"] != PUBLISHED)]


def _usage(shown: pd.DataFrame, origins: Mapping[str, RunOrigin]) -> dict[ScoreKey, TaskCost]:
    costs = {(file, task): origins[file].usage(task) for file, task in zip(shown["file"], shown["cell"], strict=True)}
    return {key: cost for key, cost in costs.items() if cost}


def _write_sample_pages(
    leaderboard: Leaderboard,
    shown: pd.DataFrame,
    origins: Mapping[str, RunOrigin],
    files: DataFiles,
    limit: int,
    mapped: ParallelMap,
) -> dict[ScoreKey, SamplePage]:
    runs = {str(name): rows for name, rows in shown.groupby("file", sort=True)}
    jobs = (
        RunFiles({task: origins[name].samples(task) for task in rows["cell"]}, origins[name].journal, limit)
        for name, rows in runs.items()
    )
    pages, videos = {}, VideoClips()
    for (name, rows), run in zip(runs.items(), mapped(read_run, jobs), strict=True):
        for task, protocol in zip(rows["cell"], rows["protocol"], strict=True):
            selected = run.samples[task]
            if isinstance(selected, str):
                pages[name, task] = SamplePage("", 0, 0, selected)
                continue
            record = leaderboard.measured.protocols[protocol]
            pages[name, task] = write_sample_page((name, task), selected, run.frames, record, videos, files)
    return pages
