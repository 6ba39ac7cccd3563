"""The runs below a folder. A run has one checkpoint: what the newest of several left says nothing of the others.

So whoever takes the newest files below a folder asks for one run first.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from qsv_eval.model_adapters.errors import SetupError

__all__ = ["RUN_FILE", "SUBMISSIONS", "listed", "only_run", "run_of", "runs_below"]

RUN_FILE: Final = "run.json"
"""By this `qsv-eval run` marks its output folder."""
_RESULTS, _SAMPLES = "*results.json", "*_samples_*.jsonl"
SUBMISSIONS: Final = "submissions"
"""Folder in which lmms-eval puts what a benchmark's server wants, under names like those of results."""
_LISTED: Final = 8
"""Runs that a message names."""


def only_run(place: Path, cell: str = "") -> Path:
    """Return the folder of the one run below a folder: the one that is marked, or else the folder as it was named.

    Args:
        place: the folder.
        cell: what was named behind it, such as `@max_frames=64`.

    Raises:
        SetupError: there are several, or a results file is damaged.
    """
    runs = runs_below(place)
    if len(runs) > 1:
        names = [f"{run}{cell}" for run in runs]
        raise SetupError(
            f"{place}{cell}: holds {len(runs)} runs, and which is meant cannot be told; name one of: {listed(names)}"
        )
    return runs[0] if runs and (runs[0] / RUN_FILE).is_file() else place


def runs_below(place: Path) -> list[Path]:
    """Return the folders of all runs in and below a folder; SetupError where a results file is damaged.

    Without the mark of `qsv-eval run`, a folder with files of lmms-eval is a run's. One with nothing but later scorings
    is none: the run that they are about is below it.
    """
    files = [file for pattern in (_RESULTS, _SAMPLES) for file in place.rglob(pattern)]
    holders = {file.parent for file in files if file.parent.name != SUBMISSIONS}
    return sorted({run_of(holder, place) for holder in holders if not _is_of_scorings(holder)})


def run_of(holder: Path, place: Path) -> Path:
    """Return the run's folder of a folder with files: the marked one at or above it, not above `place`, or itself."""
    for folder in (holder, *holder.parents):
        if (folder / RUN_FILE).is_file():
            return folder
        if folder == place:
            break
    return holder


def listed(names: Iterable[str]) -> str:
    """Name the first few, and count the rest."""
    found = list(names)
    return ", ".join(found[:_LISTED]) + (f" and {len(found) - _LISTED} more" if len(found) > _LISTED else "")


def _is_of_scorings(holder: Path) -> bool:
    kinds = [_is_scoring(file) for file in holder.glob(_RESULTS)]
    return bool(kinds) and all(kinds)


def _is_scoring(results: Path) -> bool:
    """Tell whether `qsv-eval score` wrote a results file."""
    try:
        content = json.loads(results.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SetupError(f"{results}: cannot be read ({error}); it is damaged, move it away") from error
    return isinstance(content, Mapping) and "rescored" in content
