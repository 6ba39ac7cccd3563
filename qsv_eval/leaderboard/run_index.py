"""Files behind a results file: its run, its samples files, its journal with frames and cubes."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import ValidationError

from qsv_eval.leaderboard.records import TaskCost, task_cost
from qsv_eval.leaderboard.result_files import ResultsFile, find_results, mapping, run_with, runs_behind
from qsv_eval.leaderboard.safe_text import table_name
from qsv_eval.leaderboard.samples import SamplesFile
from qsv_eval.model_adapters.engine.records import AnswerStatus, Assignment, Record
from qsv_eval.run_dirs import RUN_FILE

__all__ = ["RunOrigin", "journal_beside", "origins_of", "read_records"]


class RunOrigin(NamedTuple):
    """A results file, and what lies beside it; its tasks go by the names that the tables have."""

    file: ResultsFile
    runs: Sequence[ResultsFile]
    """The results of the run that it is about, the newest first: itself, unless it is a later scoring. A run that was
    resumed with other tasks has several, and each says something of its own tasks only."""

    def samples(self, cell: str) -> SamplesFile | None:
        """Return the samples of one of its tasks, None where there is no such file."""
        task = self._task(cell)
        if (path := self._samples_path(task)) is None:
            return None
        return SamplesFile.of(path, task, None, run_with(task, self.runs))

    def usage(self, cell: str) -> TaskCost | None:
        """Return what the answers to a task took, None where the run does not say it."""
        task = self._task(cell)
        return task_cost(mapping(mapping(run_with(task, self.runs).content.get("usage")).get(task)))

    @property
    def journal(self) -> Path | None:
        """The journal beside the run, None where there is none."""
        return next(filter(None, (journal_beside(run.path) for run in self.runs)), None)

    def _task(self, cell: str) -> str:
        """Return the name that a task has in the files."""
        return next((task for task in self.file.content["results"] if table_name(task) == cell), cell)

    def _samples_path(self, task: str) -> Path | None:
        stamp = self.file.path.name.partition("_results")[0]
        try:
            path = self.file.path.with_name(f"{stamp}_samples_{task}.jsonl")
            return path if path.is_file() else None
        except (OSError, ValueError):
            # No file can be called so: a task's name may have a slash, or be too long.
            return None


def origins_of(folders: Sequence[Path]) -> dict[str, RunOrigin]:
    """Return all results files below folders with what lies beside them, by the names that the tables have."""
    files = find_results(folders)
    return {table_name(file.name): RunOrigin(file, runs_behind(file, files)) for file in files}


_JOURNAL: Final = "journal"
_TEXT: Final = rb'("(?:[^"\\]|\\.)*")'
_KEY: Final = re.compile(rb'"key": ?' + _TEXT)
_TASK: Final = re.compile(rb'"task": ?' + _TEXT)
_SAMPLE: Final = re.compile(rb'"sample_id": ?' + _TEXT)
_SHARE: Final = b'{"share"'


def journal_beside(results: Path) -> Path | None:
    """Return the journal of the run that a results file is of: in its output folder, which may be one further up."""
    for folder in (results.parent, results.parent.parent):
        if (folder / RUN_FILE).is_file() and (folder / _JOURNAL).is_dir():
            return folder / _JOURNAL
    return None


def read_records(journal: Path, wanted: Mapping[str, Set[str]]) -> dict[tuple[str, str], Record]:
    """Return the answers to questions by task and id, the last one of each; `wanted` has the ids by task.

    A cell of a sweep may have the answers of another one, which named other axes and came to the same: the journal says
    which. It is read as a stream, and only lines that name a wanted question are taken apart.
    """
    names = {(task, one) for task, ids in wanted.items() for one in ids}
    if not names:
        return {}
    files = sorted(journal.glob("*.jsonl"))
    renamed = _renamed(files, names)
    found: dict[tuple[str, str], Record] = {}
    for record in _answers(files, names, renamed.keys()):
        if record.repeat == 0:
            own = (record.task, record.sample_id)
            found |= dict.fromkeys([*({own} & names), *renamed.get(record.key, ())], record)
    return found


def _renamed(files: Sequence[Path], names: Set[tuple[str, str]]) -> dict[str, set[tuple[str, str]]]:
    """Return which of the questions have the answer with a key, though it was given to another task."""
    found: dict[str, set[tuple[str, str]]] = {}
    for line in _lines(files):
        if not line.startswith(_SHARE):
            continue
        try:
            share = Assignment.model_validate(json.loads(line)["share"])
        except ValueError:
            continue  # a line that a kill has torn
        for task, sample_id, key in share.renamed:
            if (task, sample_id) in names:
                found.setdefault(key, set()).add((task, sample_id))
    return found


def _answers(files: Sequence[Path], names: Set[tuple[str, str]], keys: Set[str]) -> Iterator[Record]:
    written = {(_written(task), _written(sample_id)) for task, sample_id in names}
    ids, written_keys = {sample_id for _, sample_id in written}, {_written(key) for key in keys}
    for line in _lines(files):
        # Searches, each for a beginning that is found at once; one pattern for all goes letter by letter.
        sample = _SAMPLE.search(line)
        if sample is None or sample[1] not in ids:
            continue
        task, key = _TASK.search(line), _KEY.search(line)
        if task is None or key is None or ((task[1], sample[1]) not in written and key[1] not in written_keys):
            continue
        try:
            record = Record.model_validate_json(line)
        except ValidationError:
            continue  # a line that a kill has torn
        if record.fate is AnswerStatus.ANSWERED:
            yield record


def _lines(files: Iterable[Path]) -> Iterator[bytes]:
    for path in files:
        with path.open("rb") as lines:
            yield from lines


def _written(text: str) -> bytes:
    """Return a text as the journal writes it."""
    return json.dumps(text).encode("ascii")
