"""Samples files of lmms-eval runs, read sample by sample.

Lines of our tasks have all details; those of lmms-eval's own tasks have what they state. Samples are read for
comparisons and the page, one task at a time; tables of averages need results files only.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from qsv_eval.leaderboard.records import protocol_of
from qsv_eval.leaderboard.result_files import ResultsFile, find_results, mapping, read_results, run_with, runs_behind
from qsv_eval.leaderboard.safe_text import encodable
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.plurals import counted
from qsv_eval.model_adapters.variant_name import MARK, plain_name
from qsv_eval.run_dirs import only_run
from qsv_eval.scoring.sample_result import Outcome

__all__ = ["SAMPLES", "LineIndex", "SamplesFile", "distinct_ids", "find_samples", "index_lines", "read_samples"]
__all__ += ["refuse_repeated", "samples_at", "samples_of"]

SAMPLES: Final[Mapping[str, str]] = {
    "id": "id of the question; lmms-eval's index if the task has no ids, or equal ones",
    "number": "lmms-eval's index; empty for our tasks, whose ids are unique",
    "cluster": "cluster that questions share, such as the video; the id if unknown",
    "score": "0 to 1, or on the scale of the task's metric; empty if there is none",
    "outcome": "outcome in our tasks; empty in others",
    "question": "question as it was asked",
    "answer": "annotated answer",
    "reply": "the model's reply",
    "row": "values that averages need: the whole `SampleResult` for our tasks, as many as there are for others",
}
"""Values of a sample."""

_KEYS: Final = {"id", "cluster", "score", "outcome"}
_TEXTS: Final = ("id", "cluster", "outcome", "question", "answer", "reply")
_OUTCOME: Final = re.compile(rb'"outcome": ?"(%s)"' % "|".join(Outcome).encode())
_ID: Final = re.compile(rb'"id": ?("(?:[^"\\]|\\.)*")')
"""Id in a line of our samples files, which begin with outcome and id."""
_END: Final = b"}\n"
"""End of every complete line."""
_IDS: Final = ("question_id", "id", "qid", "sample_id")
_ANSWERS: Final = ("answer", "gt_answer", "target")
_PREDICTIONS: Final = ("pred_answer", "parsed_pred")
_LETTER: Final = re.compile("[A-Z]")
_FIXED: Final = {
    *("doc_id", "doc_hash", "target", "resps", "filtered_resps", "token_counts", "input", "input_media"),
    *("doc", "arguments"),
}


class SamplesFile(NamedTuple):
    """Samples file of a task, and what its results file states about the task."""

    path: Path
    task: str
    protocol: Mapping[str, Any] | None
    """None if no results file lies beside it."""
    cluster_key: str
    """Field that names the cluster in lmms-eval's own tasks; empty if there is none."""
    score_key: str

    @classmethod
    def of(cls, path: Path, task: str, protocol: Mapping[str, Any] | None, run: ResultsFile) -> "SamplesFile":
        """Return a samples file with the keys from the results file of the run that answered."""
        config = mapping(mapping(run.content.get("configs")).get(task))
        return cls(path, task, protocol, str(config.get("cluster_key") or ""), str(config.get("score_key") or "score"))


class LineIndex(NamedTuple):
    """Ids, outcomes and byte offsets of the lines of a samples file; all lists are in the order of the lines."""

    ids: list[str]
    """Ids as JSON."""
    numbers: list[int | None]
    """lmms-eval's indices of samples of its own tasks; None for ours."""
    outcomes: list[str]
    scores: list[float | None]
    """Scores of tasks that have no outcomes."""
    starts: list[int]
    """Byte offsets in the file."""


def index_lines(file: SamplesFile) -> LineIndex:
    """Return the index of a file's lines.

    Lines of our tasks are searched with patterns, ten times as fast as parsing them. Quotes within a text would be
    escaped, so every match is a key.

    Raises:
        SetupError: a line is not a sample, as far as it was read.
    """
    index, start = LineIndex([], [], [], [], []), 0
    with file.path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            outcome = _OUTCOME.search(line) if line.endswith(_END) else None
            sample_id = _ID.search(line, outcome.end()) if outcome else None
            if outcome and sample_id:
                index.ids.append(sample_id[1].decode("utf-8", "replace"))
                index.numbers.append(None)
                index.outcomes.append(outcome[1].decode())
                index.scores.append(None)
            else:
                sample = _parse(file, number, line)
                index.ids.append(json.dumps(sample["id"]))
                index.numbers.append(sample["number"])
                index.outcomes.append(sample["outcome"])
                index.scores.append(sample["score"])
            index.starts.append(start)
            start += len(line)
    return index


def samples_of(file: SamplesFile) -> Iterator[dict[str, Any]]:
    """Yield the samples of a file with the keys of `SAMPLES`.

    Raises:
        SetupError: a line is not a sample.
    """
    with file.path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            yield _parse(file, number, line)


def samples_at(file: SamplesFile, starts: Sequence[int], indices: Iterable[int]) -> Iterator[dict[str, Any]]:
    """Yield the samples of the lines with these indices (from 0); `starts` has the byte offset of every line.

    Raises:
        SetupError: a line is not a sample.
    """
    with file.path.open("rb") as lines:
        for index in indices:
            lines.seek(starts[index])
            yield _parse(file, index + 1, lines.readline())


def _parse(file: SamplesFile, number: int, line: bytes) -> dict[str, Any]:
    try:
        sample = json.loads(line.decode("utf-8", "replace"))
        outcome = sample.get("outcome")
        is_ours = isinstance(outcome, Mapping) and outcome.keys() >= _KEYS
        return _our_sample(outcome) if is_ours else _other_sample(sample, file)
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise SetupError(
            f"{file.path}:{number}: not a sample ({type(error).__name__}: {error}); the file is damaged or still being "
            "written: move it away"
        ) from error


def _our_sample(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: encodable(row[name]) for name in _TEXTS} | {"number": None, "score": row["score"], "row": row}


def _other_sample(sample: Mapping[str, Any], file: SamplesFile) -> dict[str, Any]:
    """Return a sample of one of lmms-eval's own tasks, which has a key for each metric beside fixed ones."""
    metrics = [value for name, value in sample.items() if name not in _FIXED]
    scores = (_score(metric, file.score_key) for metric in metrics)
    score = next((value for value in scores if value is not None), None)
    detail = next(filter(None, map(mapping, metrics)), {})
    sample_id = next((detail[name] for name in _IDS if detail.get(name) is not None), sample["doc_id"])
    answer = next((detail[name] for name in _ANSWERS if detail.get(name) is not None), sample.get("target", ""))
    values = {
        "id": sample_id,
        "cluster": detail.get(file.cluster_key, sample_id),
        "outcome": "",
        "question": sample.get("input", ""),
        "answer": answer,
        "reply": _text(sample.get("filtered_resps", "")),
    }
    texts = {name: encodable(text) for name, text in values.items()}
    row: dict[str, Any] = {"id": texts["id"], "cluster": texts["cluster"], "score": score, "groups": {}}
    return texts | {"number": sample["doc_id"], "score": score, "row": row}


def _score(metric: object, key: str) -> float | None:
    """Return the score of a metric; if it holds only letters of a multiple-choice question, whether they agree."""
    detail = mapping(metric)
    value = detail.get(key) if detail else metric
    if isinstance(value, int | float):
        return float(value)
    prediction = next((detail[name] for name in _PREDICTIONS if name in detail), None)
    is_letter = isinstance(prediction, str) and _LETTER.fullmatch(str(detail.get("answer")))
    return float(prediction == detail["answer"]) if is_letter else None


def _text(value: object) -> str:
    while isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def find_samples(path: Path) -> dict[str, SamplesFile]:
    """Return samples files by task: those beside a results file, or the newest of each task of a run folder.

    A path such as `RUN@max_frames=64` selects the variant of a sweep with these settings, by the plain task names.

    Raises:
        SetupError: there are none, or those of several runs, or a results file beside them is damaged.
    """
    if not path.exists() and MARK in path.name:
        run, _, settings = path.name.partition(MARK)
        folder = only_run(path.with_name(run), f"{MARK}{settings}")
        return _variant(find_samples(folder), settings, path)
    is_results = path.is_file()
    if not is_results:
        only_run(path)
    pattern = f"{path.name.partition('_results')[0]}_samples_*.jsonl" if is_results else "*_samples_*.jsonl"
    files = path.parent.glob(pattern) if is_results else path.rglob(pattern)
    newest: dict[str, Path] = {}
    for file in sorted(files, key=lambda file: (file.name, str(file))):
        newest[file.name.partition("_samples_")[2].removesuffix(".jsonl")] = file
    if not newest:
        raise SetupError(f"{path}: there is no samples file ({pattern}); name a run that was made with --log_samples")
    return {task: _samples_file(task, file) for task, file in sorted(newest.items())}


def _variant(files: Mapping[str, SamplesFile], settings: str, path: Path) -> dict[str, SamplesFile]:
    settings_of = {task: MARK.join(task.split(MARK)[1:]) for task in files}
    selected = {plain_name(task): files[task] for task, its in settings_of.items() if its == settings}
    if not selected:
        known = ", ".join(sorted(filter(None, set(settings_of.values())))) or "none: the run is not a sweep"
        raise SetupError(f"{path}: there is no variant {settings}; the variants are {known}")
    return selected


def _samples_file(task: str, path: Path) -> SamplesFile:
    results = path.with_name(f"{path.name.partition('_samples_')[0]}_results.json")
    if not results.is_file():
        return SamplesFile(path, task, None, "", "score")
    # `find_results` resolves paths, so the run is found only if this one is resolved too.
    file = read_results(results.resolve())
    run = run_with(task, runs_behind(file, find_results([results.parent])) if file.is_rescored else [file])
    protocol = protocol_of(file, task, run).as_dict() if task in file.content["results"] else None
    return SamplesFile.of(path, task, protocol, run)


def read_samples(*files: SamplesFile) -> list[pd.DataFrame]:
    """Return a frame of the samples of a task for each run, with the columns of `SAMPLES`.

    Equal ids mean the same question in all frames. If ids of one of lmms-eval's own tasks are not unique, lmms-eval's
    indices replace them.

    Raises:
        SetupError: a line is not a sample, or an id occurs twice.
    """
    frames = [pd.DataFrame(list(samples_of(file)), columns=list(SAMPLES)) for file in files]
    if not all(frame["id"].is_unique or frame["outcome"].ne("").any() for frame in frames):
        for frame in frames:
            frame["id"] = frame["number"].map(str)
    for file, frame in zip(files, frames, strict=True):
        refuse_repeated(file, [json.dumps(sample_id) for sample_id in frame["id"]])
    return frames


def distinct_ids(index: LineIndex) -> list[str]:
    """Return the ids of a file's samples, or lmms-eval's indices if ids of one of its own tasks are not unique.

    Two questions of lmms-eval's `mme` share an id, and its `mlvu` uses the question as id.
    """
    if len(set(index.ids)) == len(index.ids) or any(index.outcomes):
        return index.ids
    return [json.dumps(str(number)) for number in index.numbers]


def refuse_repeated(file: SamplesFile, ids: Sequence[str]) -> None:
    """Raise SetupError if an id, given as JSON, occurs twice."""
    if len(set(ids)) == len(ids):
        return
    repeated = [sample_id for sample_id, count in Counter(ids).items() if count > 1]
    raise SetupError(
        f"{file.path}: {counted(len(repeated), 'repeated id')} (first: {repeated[0]}), perhaps because two runs were "
        "appended to one file: run again into a new folder"
    )
