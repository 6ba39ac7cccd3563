"""What the page needs of the files of one run: samples, and the journal's lines on them."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from qsv_eval.leaderboard.garbage import acyclic
from qsv_eval.leaderboard.journals import read_records
from qsv_eval.leaderboard.page.chosen import Chosen, choose_samples
from qsv_eval.leaderboard.page.looked import Looked, looked_at
from qsv_eval.leaderboard.samplelines import SamplesFile
from qsv_eval.model_adapters.errors import SetupError

__all__ = ["RunFiles", "RunFound", "read_run"]


class RunFiles(NamedTuple):
    """Where the samples of a run are."""

    samples: Mapping[str, SamplesFile | None]
    """By task; None where there is no file."""
    journal: Path | None
    most: int
    """How many samples of a task are wanted."""


class RunFound(NamedTuple):
    """What is there."""

    chosen: dict[str, Chosen | str]
    """By task: samples, or why there are none."""
    looked: dict[tuple[str, str], Looked]
    """Frames and cubes by task and id."""


def read_run(run: RunFiles) -> RunFound:
    """Read the samples that are shown, and the journal if there are any."""
    with acyclic():
        chosen = {task: _choose(file, run.most) for task, file in run.samples.items()}
        wanted = {
            task: {sample["id"] for sample in found.samples}
            for task, found in chosen.items()
            if isinstance(found, Chosen)
        }
        records = {} if run.journal is None else read_records(run.journal, wanted)
        return RunFound(chosen, {place: looked_at(record) for place, record in records.items()})


def _choose(file: SamplesFile | None, most: int) -> Chosen | str:
    if not most:
        return "none were wanted"
    if file is None:
        return "there is no samples file beside the results"
    try:
        return choose_samples(file, most)
    except SetupError as error:
        # One damaged file is no reason to have no page; and of its path the page says only the name.
        return str(error).replace(str(file.path), file.path.name)
