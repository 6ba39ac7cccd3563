"""Results files (lmms-eval's `*_results.json`): search below folders, reading, and the run that a file belongs to."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.run_dirs import SUBMISSIONS, listed, run_of

__all__ = [
    "ResultsFile",
    "find_results",
    "mapping",
    "model_arguments",
    "model_path",
    "read_results",
    "run_with",
    "runs_behind",
]

_PATTERN = "*results.json"


class ResultsFile(NamedTuple):
    """A results file as lmms-eval, `qsv-eval run` or `qsv-eval score` wrote it."""

    path: Path
    name: str
    """Path below the given folders, the same on every machine."""
    content: Mapping[str, Any]

    @property
    def date(self) -> str:
        """Start of the run, as lmms-eval's sortable time stamp."""
        return str(self.content.get("date") or self.path.name.partition("_results")[0])

    @property
    def is_rescored(self) -> bool:
        """Whether `qsv-eval score` wrote it."""
        return "rescored" in self.content


def find_results(folders: Sequence[Path]) -> list[ResultsFile]:
    """Return all results files below folders (or given as files), each once, sorted by name.

    Raises:
        SetupError: a folder is missing or has no results file, or a file is damaged or of an unknown format.
    """
    paths: set[Path] = set()
    for folder in folders:
        if not folder.exists():
            raise SetupError(f"{folder}: there is no such folder; name the --output folder of a run")
        below = (path for path in folder.rglob(_PATTERN) if path.parent.name != SUBMISSIONS)
        files = [folder] if folder.is_file() else list(below)
        if not files:
            raise SetupError(f"{folder}: holds no results file ({_PATTERN}); name the --output folder of a run")
        paths |= {file.resolve() for file in files}
    # Names are relative to the common parent, so they are unique and the same on every machine.
    parent = Path(os.path.commonpath([folder.resolve().parent for folder in folders]))
    names = {Path(os.path.relpath(path, parent)).as_posix(): path for path in paths}
    return [read_results(names[name], name) for name in sorted(names)]


def read_results(path: Path, name: str = "") -> ResultsFile:
    """Read a results file; SetupError if it is damaged or of an unknown format."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SetupError(
            f"{path}: cannot be read ({error}); it is damaged or still being written: move it away"
        ) from error
    results = content.get("results") if isinstance(content, Mapping) else None
    if not isinstance(results, Mapping) or not all(isinstance(values, Mapping) for values in results.values()):
        raise SetupError(
            f"{path}: is of an unknown format (no 'results' of tasks as lmms-eval writes them): "
            "move it away, or name other folders"
        )
    return ResultsFile(path, name or path.name, content)


def model_arguments(content: Mapping[str, Any]) -> dict[str, str]:
    """Return lmms-eval's `model_args`, which it stores as text or as a mapping."""
    stored = mapping(content.get("config")).get("model_args") or ""
    if isinstance(stored, Mapping):
        return {str(name): str(value) for name, value in stored.items()}
    pairs = (pair.partition("=") for pair in str(stored).split(","))
    return {name.strip(): value for name, equals, value in pairs if equals}


def runs_behind(file: ResultsFile, others: Iterable[ResultsFile]) -> list[ResultsFile]:
    """Return the results files of the run that answered, newest first: the file itself, unless it was rescored.

    Raises:
        SetupError: the file was rescored, and its run is missing or ambiguous.
    """
    if not file.is_rescored:
        return [file]
    folder = file.path.parent
    below = [other for other in others if not other.is_rescored and other.path.is_relative_to(folder)]
    runs = {run_of(other.path.parent, folder) for other in below}
    if not runs:
        raise SetupError(
            f"{file.path}: was written by `qsv-eval score`, but the results file of the run itself is not below its "
            "folder: keep it in the run's --output folder"
        )
    if len(runs) > 1:
        raise SetupError(
            f"{file.path}: was written by `qsv-eval score` above {len(runs)} runs ({listed(map(str, sorted(runs)))}), "
            "so its run is ambiguous: move it away, and rescore one run at a time"
        )
    return sorted(below, key=lambda other: other.date, reverse=True)


def run_with(task: str, runs: Sequence[ResultsFile]) -> ResultsFile:
    """Return the first of a run's results files that has the task, or the first file if none has it."""
    return next((run for run in runs if task in run.content["results"]), runs[0])


def model_path(run: ResultsFile) -> str:
    """Return the hub id or path of the model of a run; SetupError if the file does not name it."""
    config = mapping(run.content.get("config"))
    path = run.content.get("model_name") or model_arguments(run.content).get("pretrained") or config.get("model")
    if text := str(path or "").rstrip("/"):
        return text
    raise SetupError(f"{run.path}: does not name its model (model_name or config.model): move the file away")


def mapping(value: object) -> Mapping[str, Any]:
    """Return the value if it is a mapping, otherwise an empty one."""
    return value if isinstance(value, Mapping) else {}
