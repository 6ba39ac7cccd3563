"""Samples of a run for the page, with the frames that each answer used; wrong answers come first."""

from collections.abc import Mapping
from math import isnan
from pathlib import Path
from typing import Any, Final, NamedTuple

from qsv_eval.leaderboard.page.text import visible
from qsv_eval.leaderboard.parallel import gc_paused
from qsv_eval.leaderboard.run_index import read_records
from qsv_eval.leaderboard.samples import SamplesFile, distinct_ids, index_lines, refuse_repeated, samples_at
from qsv_eval.model_adapters.engine.records import Record, VideoUse
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.scoring.sample_result import Outcome

__all__ = ["FramesUsed", "PageRun", "RunFiles", "SelectedSamples", "frames_used", "read_run", "select_samples"]


class FramesUsed(NamedTuple):
    """Frames, cubes and cost of one answer, as plain values that pass quickly between processes."""

    times_s: tuple[float, ...]
    """Instants of the frames; empty where there are several videos, whose frames are not told apart, or none."""
    use: dict[str, Any]
    """Frames, cubes, tokens and seconds, as the page's script reads them."""


def frames_used(record: Record) -> FramesUsed:
    """Return what an answer rests on."""
    times_s = tuple(record.videos[0].timestamps_s) if len(record.videos) == 1 else ()
    use = {
        "videos": [_video(video) for video in record.videos],
        "tokens": record.visual_tokens,
        "prompt": record.prompt_tokens,
        "seconds": round(sum(record.seconds.values()), 3),
        "degraded": record.degraded,
    }
    return FramesUsed(times_s, use)


def _video(video: VideoUse) -> dict[str, Any]:
    """Return frames and cubes; a cube as its first frame, the number of its frames, and its seconds."""
    cubes = [
        [start, end - start, None if start_s is None else round(start_s, 2), None if end_s is None else round(end_s, 2)]
        for start, end, start_s, end_s in video.cubes
    ]
    return {"frames": len(video.timestamps_s), "cubes": cubes, "lost": video.lost_frames}


_FIRST: Final = (
    Outcome.WRONG,
    Outcome.UNPARSED,
    Outcome.EMPTY,
    Outcome.ERROR,
    Outcome.UNSCORED,
    Outcome.CORRECT,
)
"""The order in which samples are shown, and kept where there are more than are wanted."""
_RANKS: Final[Mapping[str, int]] = {outcome.value: rank for rank, outcome in enumerate(_FIRST)}


class SelectedSamples(NamedTuple):
    """Samples of a task of a run."""

    samples: list[dict[str, Any]]
    """Those that are shown, each with the names of `samplelines.SAMPLES`."""
    total: int
    """Number of samples in all."""


def select_samples(file: SamplesFile, most: int) -> SelectedSamples:
    """Return at most so many samples: wrong ones, then other failures, then right ones, each as in the file.

    Every line is looked at, but only what is shown is kept, so that memory does not grow with what was said.

    Raises:
        SetupError: a line is no sample, or an id occurs twice.
    """
    glances = index_lines(file)
    refuse_repeated(file, distinct_ids(glances))
    ranks = list(map(_rank, glances.outcomes, glances.scores))
    order = sorted(range(len(ranks)), key=ranks.__getitem__)
    return SelectedSamples(list(samples_at(file, glances.starts, order[:most])), len(ranks))


def _rank(outcome: str, score: float | None) -> float:
    if (rank := _RANKS.get(outcome)) is not None:
        return rank
    # lmms-eval's own tasks have no outcomes: by score, and what has none first.
    return 0 if score is None or isnan(score) else 1 + score


class RunFiles(NamedTuple):
    """Files that hold the samples of a run."""

    samples: Mapping[str, SamplesFile | None]
    """By the task's name in the tables; None where there is no file."""
    journal: Path | None
    most: int
    """Largest number of samples of a task on the page."""


class PageRun(NamedTuple):
    """Samples and journal of one run."""

    chosen: dict[str, SelectedSamples | str]
    """By the same: samples, or why there are none."""
    looked: dict[tuple[str, str], FramesUsed]
    """Frames and cubes by the same and id."""


def read_run(run: RunFiles) -> PageRun:
    """Read the samples that are shown, and the journal if there are any."""
    with gc_paused():
        chosen = {cell: _choose(file, run.most) for cell, file in run.samples.items()}
        # The journal has the tasks' own names.
        cells = {file.task: cell for cell, file in run.samples.items() if file is not None}
        wanted = {
            task: {sample["id"] for sample in found.samples}
            for task, cell in cells.items()
            if isinstance(found := chosen[cell], SelectedSamples)
        }
        records = {} if run.journal is None else read_records(run.journal, wanted)
        return PageRun(chosen, {(cells[task], one): frames_used(record) for (task, one), record in records.items()})


def _choose(file: SamplesFile | None, most: int) -> SelectedSamples | str:
    if not most:
        return "none were wanted"
    if file is None:
        return "there is no samples file beside the results"
    try:
        return select_samples(file, most)
    except SetupError as error:
        # One damaged file is no reason to have no page; and of its path the page says only the name.
        return visible(str(error).replace(str(file.path), file.path.name))
