"""Files that belong to a results file: its run, its samples files, and its journal with frames and cubes."""

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

SampleKey = tuple[str, str]
"""Task and sample id."""


class RunOrigin(NamedTuple):
    """A results file and the files that belong to it; tasks are given by their names in the tables."""

    file: ResultsFile
    runs: Sequence[ResultsFile]
    """Results files of the run that answered, newest first: the file itself, unless it was rescored. A run that was
    resumed with other tasks has several, each about its own tasks."""

    def samples(self, cell: str) -> SamplesFile | None:
        """Return the samples file of a task, None if there is none."""
        task = self._task(cell)
        if (path := self._samples_path(task)) is None:
            return None
        return SamplesFile.of(path, task, None, run_with(task, self.runs))

    def usage(self, cell: str) -> TaskCost | None:
        """Return the cost of the answers to a task, None if the run does not state it."""
        task = self._task(cell)
        return task_cost(mapping(mapping(run_with(task, self.runs).content.get("usage")).get(task)))

    @property
    def journal(self) -> Path | None:
        """Journal of the run, None if there is none."""
        return next(filter(None, (journal_beside(run.path) for run in self.runs)), None)

    def _task(self, cell: str) -> str:
        """Return the name of a task in the files."""
        return next((task for task in self.file.content["results"] if table_name(task) == cell), cell)

    def _samples_path(self, task: str) -> Path | None:
        stamp = self.file.path.name.partition("_results")[0]
        try:
            path = self.file.path.with_name(f"{stamp}_samples_{task}.jsonl")
            return path if path.is_file() else None
        except (OSError, ValueError):
            return None  # not a file name: a task's name may hold a slash or be too long


def origins_of(folders: Sequence[Path]) -> dict[str, RunOrigin]:
    """Return the origin of every results file below folders, by the file's name in the tables."""
    files = find_results(folders)
    return {table_name(file.name): RunOrigin(file, runs_behind(file, files)) for file in files}


_JOURNAL: Final = "journal"


def journal_beside(results: Path) -> Path | None:
    """Return the journal of the run of a results file, in the file's folder or the one above; None if there is none."""
    for folder in (results.parent, results.parent.parent):
        if (folder / RUN_FILE).is_file() and (folder / _JOURNAL).is_dir():
            return folder / _JOURNAL
    return None


def read_records(journal: Path, wanted: Mapping[str, Set[str]]) -> dict[SampleKey, Record]:
    """Return the last answer to each wanted question; `wanted` has sample ids by task.

    A variant may share the answers of an equal variant with another name, as the journal states. The journal is read
    as a stream, and only lines that name a wanted question are parsed.
    """
    keys = {(task, sample_id) for task, ids in wanted.items() for sample_id in ids}
    if not keys:
        return {}
    files = sorted(journal.glob("*.jsonl"))
    renamed = _renamed(files, keys)
    records: dict[SampleKey, Record] = {}
    for record in _answers(files, keys, renamed.keys()):
        if record.repeat == 0:
            key = (record.task, record.sample_id)
            records |= dict.fromkeys([*({key} & keys), *renamed.get(record.key, ())], record)
    return records


_TEXT: Final = rb'("(?:[^"\\]|\\.)*")'
_KEY: Final = re.compile(rb'"key": ?' + _TEXT)
_TASK: Final = re.compile(rb'"task": ?' + _TEXT)
_SAMPLE: Final = re.compile(rb'"sample_id": ?' + _TEXT)
_ASSIGNMENT: Final = b'{"share"'


def _renamed(files: Sequence[Path], wanted: Set[SampleKey]) -> dict[str, set[SampleKey]]:
    """Return by answer key the wanted questions that share the answer of another task name."""
    renamed: dict[str, set[SampleKey]] = {}
    for line in _lines(files):
        if not line.startswith(_ASSIGNMENT):
            continue
        try:
            assignment = Assignment.model_validate(json.loads(line)["share"])
        except ValueError:
            continue  # a line cut off by a kill
        for task, sample_id, key in assignment.renamed:
            if (task, sample_id) in wanted:
                renamed.setdefault(key, set()).add((task, sample_id))
    return renamed


def _answers(files: Sequence[Path], wanted: Set[SampleKey], answer_keys: Set[str]) -> Iterator[Record]:
    encoded = {(_as_written(task), _as_written(sample_id)) for task, sample_id in wanted}
    ids, keys = {sample_id for _, sample_id in encoded}, {_as_written(key) for key in answer_keys}
    for line in _lines(files):
        # Three searches for a fixed beginning are faster than one pattern, which is matched letter by letter.
        sample = _SAMPLE.search(line)
        if sample is None or sample[1] not in ids:
            continue
        task, key = _TASK.search(line), _KEY.search(line)
        if task is None or key is None or ((task[1], sample[1]) not in encoded and key[1] not in keys):
            continue
        try:
            record = Record.model_validate_json(line)
        except ValidationError:
            continue  # a line cut off by a kill
        if record.fate is AnswerStatus.ANSWERED:
            yield record


def _lines(files: Iterable[Path]) -> Iterator[bytes]:
    for path in files:
        with path.open("rb") as lines:
            yield from lines


def _as_written(text: str) -> bytes:
    """Return a text as the journal writes it."""
    return json.dumps(text).encode("ascii")
