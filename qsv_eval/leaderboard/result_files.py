"""The results files below folders: found, read, and refused where they are no such files."""

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
    "model_stated",
    "read_results",
    "run_with",
    "runs_behind",
]

_PATTERN = "*results.json"


class ResultsFile(NamedTuple):
    """A results file as lmms-eval, `qsv-eval run` or `qsv-eval score` wrote it."""

    path: Path
    name: str
    """Its place below the folders that were given: the same on every machine."""
    content: Mapping[str, Any]

    @property
    def date(self) -> str:
        """When the run began, as lmms-eval's stamp; it sorts."""
        return str(self.content.get("date") or self.path.name.partition("_results")[0])

    @property
    def is_rescored(self) -> bool:
        """Whether `qsv-eval score` wrote it."""
        return "rescored" in self.content


def find_results(folders: Sequence[Path]) -> list[ResultsFile]:
    """Return all results files below folders (or those named themselves), each once, sorted by name.

    Raises:
        SetupError: a folder is not there or holds none, or a file is damaged or of an unknown format.
    """
    found: set[Path] = set()
    for folder in folders:
        if not folder.exists():
            raise SetupError(f"{folder}: there is no such folder; name the --output folder of a run")
        files = [folder] if folder.is_file() else _below(folder)
        if not files:
            raise SetupError(f"{folder}: holds no results file ({_PATTERN}); name the --output folder of a run")
        found |= {file.resolve() for file in files}
    # Names are alike on every machine, and differ where files do.
    above = Path(os.path.commonpath([folder.resolve().parent for folder in folders]))
    names = {Path(os.path.relpath(path, above)).as_posix(): path for path in found}
    return [read_results(names[name], name) for name in sorted(names)]


def _below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(_PATTERN) if path.parent.name != SUBMISSIONS]


def read_results(path: Path, name: str = "") -> ResultsFile:
    """Read one; SetupError where it is damaged or of an unknown format."""
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
    """Return what the model was made with; lmms-eval stores it as text or as a mapping."""
    stored = mapping(content.get("config")).get("model_args") or ""
    if isinstance(stored, Mapping):
        return {str(name): str(value) for name, value in stored.items()}
    pairs = (pair.partition("=") for pair in str(stored).split(","))
    return {name.strip(): value for name, equals, value in pairs if equals}


def runs_behind(file: ResultsFile, others: Iterable[ResultsFile]) -> list[ResultsFile]:
    """Return the results of the run that a file is about, the newest first: itself, or those that were scored later.

    Raises:
        SetupError: it is a later scoring, and there is no run, or there are several.
    """
    if not file.is_rescored:
        return [file]
    place = file.path.parent
    below = [one for one in others if not one.is_rescored and one.path.is_relative_to(place)]
    runs = {run_of(one.path.parent, place) for one in below}
    if not runs:
        raise SetupError(
            f"{file.path}: is a later scoring, and the results file of the run itself is not below its folder: "
            "keep it in the run's --output folder"
        )
    if len(runs) > 1:
        raise SetupError(
            f"{file.path}: is a later scoring above {len(runs)} runs ({listed(map(str, sorted(runs)))}), so whose "
            "numbers it holds cannot be told: move it away, and give `qsv-eval score` one run at a time"
        )
    return sorted(below, key=lambda one: one.date, reverse=True)


def run_with(task: str, runs: Sequence[ResultsFile]) -> ResultsFile:
    """Return the first of a run's results that has a task, the first of all where none has."""
    return next((run for run in runs if task in run.content["results"]), runs[0])


def model_stated(run: ResultsFile) -> str:
    """Return the hub id or the path of the model of a run; SetupError where nothing says which it is."""
    config = mapping(run.content.get("config"))
    stated = run.content.get("model_name") or model_arguments(run.content).get("pretrained") or config.get("model")
    if text := str(stated or "").rstrip("/"):
        return text
    raise SetupError(f"{run.path}: does not say which model it is of (model_name, config.model): move it away")


def mapping(value: object) -> Mapping[str, Any]:
    """Return a value that ought to be a mapping, an empty one in its place if it is none."""
    return value if isinstance(value, Mapping) else {}
