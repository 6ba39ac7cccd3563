"""Samples files of lmms-eval runs, read sample by sample.

Lines of our tasks have all detail, those of lmms-eval's own tasks and of other models as much as they state. Files are
read one task at a time, to compare two runs and for the page: tables of averages need results files alone.
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
from qsv_eval.model_adapters.variant_name import MARK, plain_name
from qsv_eval.run_dirs import only_run
from qsv_eval.scoring.sample_result import Outcome

__all__ = [
    "SAMPLES",
    "LineIndex",
    "SamplesFile",
    "distinct_ids",
    "find_samples",
    "index_lines",
    "read_samples",
    "refuse_repeated",
    "samples_at",
    "samples_of",
]


SAMPLES: Final[Mapping[str, str]] = {
    "id": "of the question; lmms-eval's number of it where the task names none, or names two alike",
    "number": "lmms-eval's; empty of our tasks, whose ids are their own",
    "cluster": "what questions share, such as the video; the id where that is not known",
    "score": "0 to 1, or as the task's metric has it; empty where there is none",
    "outcome": "of our tasks; empty of others",
    "question": "as it was asked",
    "answer": "the annotated one",
    "reply": "the model's",
    "row": "what averages need: the whole `SampleResult` of our tasks, as much of it as there is of others",
}
"""Values of a sample."""

_KEYS: Final = {"id", "cluster", "score", "outcome"}
_TEXTS: Final = ("id", "cluster", "outcome", "question", "answer", "reply")
_OUTCOME: Final = re.compile(rb'"outcome": ?"(%s)"' % "|".join(Outcome).encode())
_ID: Final = re.compile(rb'"id": ?("(?:[^"\\]|\\.)*")')
"""Id in a line of our samples files, which begin with outcome and id."""
_END: Final = b"}\n"
"""Without it, a line was torn."""
_IDS: Final = ("question_id", "id", "qid", "sample_id")
_ANSWERS: Final = ("answer", "gt_answer", "target")
_PREDICTIONS: Final = ("pred_answer", "parsed_pred")
_LETTER: Final = re.compile("[A-Z]")
_FIXED: Final = {
    *("doc_id", "doc_hash", "target", "resps", "filtered_resps", "token_counts", "input", "input_media"),
    *("doc", "arguments"),
}


class SamplesFile(NamedTuple):
    """Samples file of a task, and facts from the results file beside it."""

    path: Path
    task: str
    protocol: Mapping[str, Any] | None
    """None where no results file stands beside it."""
    cluster_key: str
    """Field that names the cluster in lmms-eval's own tasks; empty where there is none."""
    score_key: str

    @classmethod
    def of(cls, path: Path, task: str, protocol: Mapping[str, Any] | None, run: ResultsFile) -> "SamplesFile":
        """Return what the results file of the run that answered says of a task's samples."""
        config = mapping(mapping(run.content.get("configs")).get(task))
        return cls(path, task, protocol, str(config.get("cluster_key") or ""), str(config.get("score_key") or "score"))


class LineIndex(NamedTuple):
    """The lines of a samples file as far as choosing among samples needs them, each list in their order."""

    ids: list[str]
    """As JSON."""
    numbers: list[int | None]
    """Indices of samples of lmms-eval's own tasks; samples of ours have ids."""
    outcomes: list[str]
    scores: list[float | None]
    """Scores of tasks that have no outcomes."""
    starts: list[int]
    """Byte offsets of the lines in the file."""


def index_lines(file: SamplesFile) -> LineIndex:
    """Return what tells the lines of a file apart.

    Ours are searched for it, which is ten times as fast as taking them apart: within a text the quotes would be
    escaped, so what is found is a key.

    Raises:
        SetupError: a line is no sample, as far as it was looked at.
    """
    found, start = LineIndex([], [], [], [], []), 0
    with file.path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            outcome = _OUTCOME.search(line) if line.endswith(_END) else None
            named = _ID.search(line, outcome.end()) if outcome else None
            if outcome and named:
                found.ids.append(named[1].decode("utf-8", "replace"))
                found.numbers.append(None)
                found.outcomes.append(outcome[1].decode())
                found.scores.append(None)
            else:
                columns = _columns(file, number, line)
                found.ids.append(json.dumps(columns["id"]))
                found.numbers.append(columns["number"])
                found.outcomes.append(columns["outcome"])
                found.scores.append(columns["score"])
            found.starts.append(start)
            start += len(line)
    return found


def samples_of(file: SamplesFile) -> Iterator[dict[str, Any]]:
    """Yield the samples of a file with the names of `SAMPLES`.

    Raises:
        SetupError: a line is no sample.
    """
    with file.path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            yield _columns(file, number, line)


def samples_at(file: SamplesFile, starts: Sequence[int], numbers: Iterable[int]) -> Iterator[dict[str, Any]]:
    """Yield the samples of these lines, numbered from 0; `starts` says where each line is.

    Raises:
        SetupError: a line is no sample.
    """
    with file.path.open("rb") as lines:
        for number in numbers:
            lines.seek(starts[number])
            yield _columns(file, number + 1, lines.readline())


def _columns(file: SamplesFile, number: int, line: bytes) -> dict[str, Any]:
    try:
        sample = json.loads(line.decode("utf-8", "replace"))
        outcome = sample.get("outcome")
        is_ours = isinstance(outcome, Mapping) and outcome.keys() >= _KEYS
        return _our_sample(outcome) if is_ours else _other_sample(sample, file)
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise SetupError(
            f"{file.path}:{number}: is no sample ({type(error).__name__}: {error}); the file is damaged or "
            "still being written: move it away"
        ) from error


def _our_sample(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: encodable(row[name]) for name in _TEXTS} | {"number": None, "score": row["score"], "row": row}


def _other_sample(sample: Mapping[str, Any], file: SamplesFile) -> dict[str, Any]:
    """Read a sample of lmms-eval's own: beside its fixed keys there is one for each metric."""
    metrics = [value for name, value in sample.items() if name not in _FIXED]
    scores = [_score(metric, file.score_key) for metric in metrics]
    score = next((one for one in scores if one is not None), None)
    detail = next(filter(None, map(mapping, metrics)), {})
    own = next((detail[name] for name in _IDS if detail.get(name) is not None), sample["doc_id"])
    answer = next((detail[name] for name in _ANSWERS if detail.get(name) is not None), sample.get("target", ""))
    said = {
        "id": own,
        "cluster": detail.get(file.cluster_key, own),
        "outcome": "",
        "question": sample.get("input", ""),
        "answer": answer,
        "reply": _text(sample.get("filtered_resps", "")),
    }
    texts = {name: encodable(text) for name, text in said.items()}
    row: dict[str, Any] = {"id": texts["id"], "cluster": texts["cluster"], "score": score, "groups": {}}
    return texts | {"number": sample["doc_id"], "score": score, "row": row}


def _score(metric: object, key: str) -> float | None:
    """Return the score of a metric, or whether the letter of multiple choice is right, where only letters are kept."""
    detail = mapping(metric)
    value = detail.get(key) if detail else metric
    if isinstance(value, int | float):
        return float(value)
    said = next((detail[name] for name in _PREDICTIONS if name in detail), None)
    is_letter = isinstance(said, str) and _LETTER.fullmatch(str(detail.get("answer")))
    return float(said == detail["answer"]) if is_letter else None


def _text(value: object) -> str:
    while isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


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


def distinct_ids(glances: LineIndex) -> list[str]:
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
