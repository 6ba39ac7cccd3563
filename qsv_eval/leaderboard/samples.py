"""Samples files, question by question: ours with all detail, lmms-eval's own and other models' as far as they go.

They are read one task at a time, and only to compare two runs: tables of averages need results files alone.
"""

import json
import re
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from qsv_eval.leaderboard.records import protocol_of
from qsv_eval.leaderboard.resultfiles import find_results, mapping, read_results, runs_behind
from qsv_eval.leaderboard.text import encodable
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.tasks.variants import MARK, plain_name

__all__ = ["SAMPLES", "SamplesFile", "find_samples", "outcomes", "read_samples"]

SAMPLES: Final[Mapping[str, str]] = {
    "id": "of the question; lmms-eval's number of it where the task names none",
    "cluster": "what questions share, such as the video; the id where that is not known",
    "score": "0 to 1, or as the task's metric has it; empty where there is none",
    "outcome": "of our tasks; empty of others",
    "question": "as it was asked",
    "answer": "the annotated one",
    "reply": "the model's",
    "row": "what averages need: the whole `scoring.row.Row` of our tasks, as much of it as there is of others",
}
"""What the columns of the frame mean."""

_IDS: Final = ("question_id", "id", "qid", "sample_id")
_ANSWERS: Final = ("answer", "gt_answer", "target")


class SamplesFile(NamedTuple):
    """Where a task's samples are, and what the results file beside them says."""

    path: Path
    task: str
    protocol: Mapping[str, Any] | None
    """None where no results file stands beside it."""
    cluster_key: str
    """What names the cluster in lmms-eval's own tasks; empty where they have none."""
    score_key: str


def find_samples(place: Path) -> dict[str, SamplesFile]:
    """Return samples files by their tasks' names: those beside a results file, or the newest of each below a folder.

    Of a place such as `RUN@max_frames=64` it is those of a sweep's cell with these settings, by the plain names.

    Raises:
        SetupError: there are none, or a results file beside them is damaged.
    """
    if not place.exists() and MARK in place.name:
        run, _, settings = place.name.partition(MARK)
        return _of_cell(find_samples(place.with_name(run)), settings, place)
    is_results = place.is_file()
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
    file = read_results(beside)
    run = runs_behind(file, find_results([beside.parent]))[0] if file.is_rescored else file
    protocol = protocol_of(file, task, run).as_dict() if task in file.content["results"] else None
    config = mapping(mapping(run.content.get("configs")).get(task))
    keys = str(config.get("cluster_key") or ""), str(config.get("score_key") or "score")
    return SamplesFile(path, task, protocol, *keys)


def read_samples(file: SamplesFile, chosen: Set[int] | None = None) -> pd.DataFrame:
    """Return a task's samples, a question a row, with the columns of `SAMPLES`; of `chosen` lines alone, from 0.

    Raises:
        SetupError: a line is no sample, or an id occurs twice.
    """
    frame = pd.DataFrame(list(_rows(file, chosen)), columns=list(SAMPLES))
    if (twice := frame["id"][frame["id"].duplicated()]).size:
        raise SetupError(
            f"{file.path}: {twice.nunique()} ids occur twice (first: {twice.iloc[0]!r}); were two runs appended to it? "
            "Run it again into a new folder"
        )
    return frame


def outcomes(file: SamplesFile) -> list[str] | None:
    """Return the outcome of each line, None where a line does not say it as our tasks' do.

    The lines are searched, not taken apart, which is ten times as fast. Within a text the quotes would be escaped, so
    what is found is a key.
    """
    with file.path.open("rb") as lines:
        found = [_OUTCOME.search(line) for line in lines]
    said = [match[1].decode() for match in found if match]
    return said if said and len(said) == len(found) else None


_OUTCOME: Final = re.compile(rb'"outcome": ?"(\w+)"')


def _rows(file: SamplesFile, chosen: Set[int] | None = None) -> Iterator[dict[str, Any]]:
    with file.path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if chosen is not None and number - 1 not in chosen:
                continue
            try:
                sample = json.loads(line)
                outcome = sample.get("outcome")
                is_ours = isinstance(outcome, Mapping) and {"id", "cluster", "score", "outcome"} <= outcome.keys()
                row = _our_row(outcome) if is_ours else _other_row(sample, file)
            except (ValueError, AttributeError, KeyError, TypeError) as error:
                raise SetupError(
                    f"{file.path}:{number}: is no sample ({type(error).__name__}: {error}); the file is damaged or "
                    "still being written: move it away"
                ) from error
            yield row


def _our_row(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("id", "cluster", "outcome", "question", "answer", "reply")
    return {name: encodable(row[name]) for name in names} | {"score": row["score"], "row": row}


def _other_row(sample: Mapping[str, Any], file: SamplesFile) -> dict[str, Any]:
    """Read a sample of lmms-eval's own: beside its fixed keys there is one for each metric."""
    metric = next((value for name, value in sample.items() if name not in _FIXED), None)
    detail = mapping(metric)
    own = next((detail[name] for name in _IDS if detail.get(name) is not None), sample["doc_id"])
    score = _score(metric, file.score_key)
    row: dict[str, Any] = {
        "id": encodable(own),
        "cluster": encodable(detail.get(file.cluster_key, own)),
        "score": score,
        "groups": {},
    }
    reply = sample.get("filtered_resps", "")
    answer = next((detail[name] for name in _ANSWERS if detail.get(name) is not None), sample.get("target", ""))
    shown = {"question": sample.get("input", ""), "answer": answer, "reply": _text(reply)}
    texts = {name: encodable(text) for name, text in shown.items()}
    return {name: row[name] for name in ("id", "cluster", "score")} | {"outcome": ""} | texts | {"row": row}


_FIXED: Final = {
    *("doc_id", "doc_hash", "target", "resps", "filtered_resps", "token_counts", "input", "input_media"),
    *("doc", "arguments"),
}


def _score(metric: object, key: str) -> float | None:
    value = metric.get(key) if isinstance(metric, Mapping) else metric
    return float(value) if isinstance(value, int | float) else None


def _text(value: object) -> str:
    while isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
