"""What the page needs of the files of one run: samples, and the journal's lines on them."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from qsv_eval.leaderboard.garbage import acyclic
from qsv_eval.leaderboard.journals import read_records
from qsv_eval.leaderboard.page.chosen import Chosen, choose_samples
from qsv_eval.leaderboard.page.looked import Looked, looked_at
from qsv_eval.leaderboard.page.words import visible
from qsv_eval.leaderboard.samplelines import SamplesFile
from qsv_eval.model_adapters.errors import SetupError

__all__ = ["RunFiles", "RunFound", "read_run"]


class RunFiles(NamedTuple):
    """Where the samples of a run are."""

    samples: Mapping[str, SamplesFile | None]
    """By the task's name in the tables; None where there is no file."""
    journal: Path | None
    most: int
    """How many samples of a task are wanted."""


class RunFound(NamedTuple):
    """What is there."""

    chosen: dict[str, Chosen | str]
    """By the same: samples, or why there are none."""
    looked: dict[tuple[str, str], Looked]
    """Frames and cubes by the same and id."""


def read_run(run: RunFiles) -> RunFound:
    """Read the samples that are shown, and the journal if there are any."""
    with acyclic():
        chosen = {cell: _choose(file, run.most) for cell, file in run.samples.items()}
        # The journal has the tasks' own names.
        cells = {file.task: cell for cell, file in run.samples.items() if file is not None}
        wanted = {
            task: {sample["id"] for sample in found.samples}
            for task, cell in cells.items()
            if isinstance(found := chosen[cell], Chosen)
        }
        records = {} if run.journal is None else read_records(run.journal, wanted)
        return RunFound(chosen, {(cells[task], one): looked_at(record) for (task, one), record in records.items()})


def _choose(file: SamplesFile | None, most: int) -> Chosen | str:
    if not most:
        return "none were wanted"
    if file is None:
        return "there is no samples file beside the results"
    try:
        return choose_samples(file, most)
    except SetupError as error:
        # One damaged file is no reason to have no page; and of its path the page says only the name.
        return visible(str(error).replace(str(file.path), file.path.name))
