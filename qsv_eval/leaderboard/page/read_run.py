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


class RunFiles(NamedTuple):
    """Files with the samples of a run."""

    samples: Mapping[str, SamplesFile | None]
    """Samples files by the task's name in the tables; None if there is no file."""
    journal: Path | None
    limit: int
    """Largest number of samples of a task on the page."""


class SelectedSamples(NamedTuple):
    """Samples of a task that are on the page."""

    samples: list[dict[str, Any]]
    """Samples with the keys of `samples.SAMPLES`."""
    total: int
    """Number of samples of the task."""


class FramesUsed(NamedTuple):
    """Frames, cubes and cost of one answer, as plain values that pass quickly between processes."""

    times_s: tuple[float, ...]
    """Times of the frames of a single video; empty for several videos or none."""
    use: dict[str, Any]
    """Frames, cubes, tokens and seconds, as the page's script reads them."""


class PageRun(NamedTuple):
    """Samples and frames of one run."""

    samples: dict[str, SelectedSamples | str]
    """Samples by the task's name in the tables, or the reason why there are none."""
    frames: dict[tuple[str, str], FramesUsed]
    """Frames by the task's name in the tables and the sample id."""


def read_run(run: RunFiles) -> PageRun:
    """Read the samples for the page, and the frames of their answers from the journal if there is one."""
    with gc_paused():
        samples = {cell: _select(file, run.limit) for cell, file in run.samples.items()}
        # The journal has the tasks' names in the files.
        cells = {file.task: cell for cell, file in run.samples.items() if file is not None}
        wanted = {
            task: {sample["id"] for sample in selected.samples}
            for task, cell in cells.items()
            if isinstance(selected := samples[cell], SelectedSamples)
        }
        records = {} if run.journal is None else read_records(run.journal, wanted)
        frames = {(cells[task], sample_id): frames_used(record) for (task, sample_id), record in records.items()}
        return PageRun(samples, frames)


def _select(file: SamplesFile | None, limit: int) -> SelectedSamples | str:
    if not limit:
        return "the limit of samples is 0"
    if file is None:
        return "there is no samples file beside the results"
    try:
        return select_samples(file, limit)
    except SetupError as error:
        # The other samples are still shown; only the name of the path is, because the page is for others too.
        return visible(str(error).replace(str(file.path), file.path.name))


_ORDER: Final = (
    Outcome.WRONG,
    Outcome.UNPARSED,
    Outcome.EMPTY,
    Outcome.ERROR,
    Outcome.UNSCORED,
    Outcome.CORRECT,
)
"""Order of samples on the page; the first ones are kept if there are more than the limit."""
_RANKS: Final[Mapping[str, int]] = {outcome.value: rank for rank, outcome in enumerate(_ORDER)}


def select_samples(file: SamplesFile, limit: int) -> SelectedSamples:
    """Return at most `limit` samples: wrong ones, then other failures, then right ones, each in the order of the file.

    Every line is checked, but only the selected samples are kept in memory.

    Raises:
        SetupError: a line is not a sample, or an id occurs twice.
    """
    index = index_lines(file)
    refuse_repeated(file, distinct_ids(index))
    ranks = list(map(_rank, index.outcomes, index.scores))
    order = sorted(range(len(ranks)), key=ranks.__getitem__)
    return SelectedSamples(list(samples_at(file, index.starts, order[:limit])), len(ranks))


def _rank(outcome: str, score: float | None) -> float:
    if (rank := _RANKS.get(outcome)) is not None:
        return rank
    # Samples of lmms-eval's own tasks have no outcome: they are sorted by score, those without one first.
    return 0 if score is None or isnan(score) else 1 + score


def frames_used(record: Record) -> FramesUsed:
    """Return the frames, cubes and cost of an answer."""
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
    """Return frames and cubes; a cube as its first frame, its number of frames, and its start and end in seconds."""
    cubes = [
        [start, end - start, None if start_s is None else round(start_s, 2), None if end_s is None else round(end_s, 2)]
        for start, end, start_s, end_s in video.cubes
    ]
    return {"frames": len(video.timestamps_s), "cubes": cubes, "lost": video.lost_frames}
