"""Samples files, question by question.

They are read one task at a time, to compare two runs and for the page: tables of averages need results files alone.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from qsv_eval.leaderboard.records import protocol_of
from qsv_eval.leaderboard.resultfiles import find_results, read_results, run_with, runs_behind
from qsv_eval.leaderboard.samplelines import SAMPLES, Glances, SamplesFile, samples_of
from qsv_eval.model_adapters.cells import MARK, plain_name
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.runfolders import only_run

__all__ = ["find_samples", "read_samples", "refuse_repeated", "telling_ids"]


def find_samples(place: Path) -> dict[str, SamplesFile]:
    """Return samples files by their tasks' names: those beside a results file, or the newest of each of a folder's run.

    Of a place such as `RUN@max_frames=64` it is those of a sweep's cell with these settings, by the plain names.

    Raises:
        SetupError: there are none, or those of several runs, or a results file beside them is damaged.
    """
    if not place.exists() and MARK in place.name:
        run, _, settings = place.name.partition(MARK)
        folder = only_run(place.with_name(run), f"{MARK}{settings}")
        return _of_cell(find_samples(folder), settings, place)
    is_results = place.is_file()
    if not is_results:
        only_run(place)
    pattern = f"{place.name.partition('_results')[0]}_samples_*.jsonl" if is_results else "*_samples_*.jsonl"
    found = place.parent.glob(pattern) if is_results else place.rglob(pattern)
    newest: dict[str, Path] = {}
    for path in sorted(found, key=lambda path: (path.name, str(path))):
        newest[path.name.partition("_samples_")[2].removesuffix(".jsonl")] = path
    if not newest:
        raise SetupError(f"{place}: there is no samples file ({pattern}); name a run that was made with --log_samples")
    return {task: _described(task, path) for task, path in sorted(newest.items())}


def _of_cell(found: Mapping[str, SamplesFile], settings: str, place: Path) -> dict[str, SamplesFile]:
    cells = {task: MARK.join(task.split(MARK)[1:]) for task in found}
    chosen = {plain_name(task): found[task] for task, its in cells.items() if its == settings}
    if not chosen:
        known = ", ".join(sorted(filter(None, set(cells.values())))) or "none: it is no sweep"
        raise SetupError(f"{place}: there is no cell {settings}; its cells are {known}")
    return chosen


def _described(task: str, path: Path) -> SamplesFile:
    beside = path.with_name(f"{path.name.partition('_samples_')[0]}_results.json")
    if not beside.is_file():
        return SamplesFile(path, task, None, "", "score")
    # As `find_results` has it, or the run would not be below a folder that was named from elsewhere.
    file = read_results(beside.resolve())
    run = run_with(task, runs_behind(file, find_results([beside.parent])) if file.is_rescored else [file])
    protocol = protocol_of(file, task, run).as_dict() if task in file.content["results"] else None
    return SamplesFile.of(path, task, protocol, run)


def read_samples(*files: SamplesFile) -> list[pd.DataFrame]:
    """Return a task's samples in each of some runs, a question a row, with the columns of `SAMPLES`.

    An id is the same question in all of them, and where two samples of lmms-eval's own have the same id its number.

    Raises:
        SetupError: a line is no sample, or an id occurs twice.
    """
    frames = [pd.DataFrame(list(samples_of(file)), columns=list(SAMPLES)) for file in files]
    if not all(frame["id"].is_unique or frame["outcome"].ne("").any() for frame in frames):
        for frame in frames:
            frame["id"] = frame["number"].map(str)
    for file, frame in zip(files, frames, strict=True):
        refuse_repeated(file, [json.dumps(sample_id) for sample_id in frame["id"]])
    return frames


def telling_ids(glances: Glances) -> list[str]:
    """Return the ids of a file's samples, or lmms-eval's numbers where two of its own samples have the same id.

    Two questions of its `mme` do, and its `mlvu` takes the question for the id.
    """
    if len(set(glances.ids)) == len(glances.ids) or any(glances.outcomes):
        return glances.ids
    return [json.dumps(str(number)) for number in glances.numbers]


def refuse_repeated(file: SamplesFile, ids: Sequence[str]) -> None:
    """Raise SetupError if an id, given as JSON, occurs twice."""
    if len(set(ids)) == len(ids):
        return
    twice = [sample_id for sample_id, count in Counter(ids).items() if count > 1]
    raise SetupError(
        f"{file.path}: {len(twice)} ids occur twice (first: {twice[0]}); were two runs appended to it? "
        "Run it again into a new folder"
    )
