"""Results files as tidy data frames (`runs`: a row per file, `scores`: a row per number), and the choice among runs.

`RUNS` and `SCORES` describe the columns. Of several scores of a model by the same protocol, tables show one.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from qsv_eval.leaderboard.labels import ModelStatement, differing_conditions, model_names, setting_names
from qsv_eval.leaderboard.records import degraded_counts, protocols_of, scores_of
from qsv_eval.leaderboard.result_files import ResultsFile, find_results, mapping, model_path, runs_behind
from qsv_eval.leaderboard.safe_text import LONGEST_NAME, plain, table_name
from qsv_eval.model_adapters.variant_name import plain_name
from qsv_eval.protocol import Protocol

__all__ = ["RUNS", "SCORES", "Headline", "Tables", "load", "select_records", "tidy"]

RUNS: Final[Mapping[str, str]] = {
    "file": "path of the results file below the given folder",
    "model": "name of the checkpoint or hub repository",
    "date": "start of the run, as lmms-eval's time stamp",
    "rescored": "whether `qsv-eval score` wrote it from saved replies",
    "tasks": "number of tasks",
}
"""Meaning of the columns of the frame `runs`."""

SCORES: Final[Mapping[str, str]] = {
    "model": "name of the checkpoint or hub repository",
    "setting": "fields in which the model's runs differ",
    "task": "lmms-eval's name of the task, without a variant's settings",
    "field": "field of the breakdown; empty for the headline; `also` for further official averages",
    "group": "group of the field",
    "kind": "official, lmms-eval's own, or published",
    "value": "the average; empty if there is none",
    "low": "lower end of the 95 % interval, clustered by video",
    "high": "upper end of the 95 % interval",
    "n": "number of questions asked, failures included",
    "correct": "number of right answers",
    "wrong": "number of wrong answers",
    "unparsed": "number of replies without a readable answer",
    "empty": "number of empty replies",
    "error": "number of questions without a reply",
    "unscored": "number of replies without a score",
    "complete": "whether all questions have a score; empty if unknown",
    "lowest": "the value if every question without a score were wrong",
    "highest": "the value if every question without a score were right",
    "scale": "percent, or the ends of the scale; empty for lmms-eval's own tasks",
    "average": "description of the average",
    "metric": "name of the metric in the results file",
    "judge": "model that judged replies; empty if rules score",
    "higher_is_better": "whether higher values are better",
    "micro": "mean over questions",
    "macro": "mean over the groups of the first field",
    "clusters": "number of videos or images",
    "unparsed_share": "percentage of scored replies without a readable answer",
    "degraded": "number of answers on fewer frames because memory ran out",
    "protocol": "hash of the protocol; protocols.json has the records",
    "file": "results file of the score",
    "cell": "name of the task in that file, with a variant's settings",
    "date": "start of the run",
    "shown": "whether the score is in the tables: the newest run of its protocol with the most answers",
    "source": "source of a published number",
    "note": "remark on a published number",
}
"""Meaning of the columns of the frame `scores`."""

_COUNTS = ("n", "correct", "wrong", "unparsed", "empty", "error", "unscored", "clusters", "degraded")
_NUMBERS = ("value", "low", "high", "lowest", "highest", "micro", "macro", "unparsed_share")
_FLAGS = ("complete", "higher_is_better", "shown")


class Tables(NamedTuple):
    """All measured runs, scores and protocols."""

    runs: pd.DataFrame
    scores: pd.DataFrame
    protocols: dict[str, dict[str, Any]]
    """Protocol records by their hashes."""


def load(folders: Sequence[Path]) -> Tables:
    """Read all results files below folders, but no samples files.

    Raises:
        SetupError: a folder is missing or has no results file, or a file is damaged or of an unknown format.
    """
    files = find_results(folders)
    runs: list[dict[str, Any]] = []
    scores: list[dict[str, Any]] = []
    protocols: dict[str, dict[str, Any]] = {}
    entries = [(file, behind := runs_behind(file, files), protocols_of(file, behind)) for file in files]
    models = model_names([_model_statement(behind[0], of_task.values()) for _, behind, of_task in entries])
    for (file, behind, of_task), model in zip(entries, models, strict=True):
        degraded = {task: count for run in reversed(behind) for task, count in degraded_counts(run).items()}
        hashes = {task: protocol.hash for task, protocol in of_task.items()}
        protocols |= {hashes[task]: protocol.as_dict() for task, protocol in of_task.items()}
        run = {"model": model, "file": table_name(file.name), "date": file.date}
        runs.append(run | {"rescored": file.is_rescored, "tasks": len(of_task)})
        for score in scores_of(file, degraded):
            cell = score["task"]
            names = {"cell": table_name(cell), "task": plain_name(cell)}
            protocol = {"protocol": hashes[cell], "judge": of_task[cell].scoring.judge or ""}
            scores.append(score | run | names | protocol)
    frame = tidy(scores)
    frame["shown"] = _shown(frame, protocols)
    return Tables(_frame(runs, RUNS), _with_settings(frame, protocols), protocols)


def _model_statement(run: ResultsFile, protocols: Iterable[Protocol]) -> ModelStatement:
    checkpoints = {str(mapping(protocol.answers).get("checkpoint") or "") for protocol in protocols}
    return ModelStatement(model_path(run), checkpoints.pop() if len(checkpoints) == 1 else "")


def tidy(scores: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return score records as a frame with all columns of `SCORES`."""
    frame = _frame(scores, SCORES)
    types = dict.fromkeys(_COUNTS, "Int64") | dict.fromkeys(_NUMBERS, "float64") | dict.fromkeys(_FLAGS, "boolean")
    frame = frame.astype(types)
    texts = [name for name in SCORES if name not in types]
    return frame.astype(dict.fromkeys(texts, object)).fillna(dict.fromkeys(texts, ""))


def _frame(records: Sequence[Mapping[str, Any]], columns: Iterable[str]) -> pd.DataFrame:
    # pandas cannot hold every string that JSON can (lone surrogates), so strings are made plain first.
    plain_records = [
        {name: plain(value, LONGEST_NAME) if isinstance(value, str) else value for name, value in record.items()}
        for record in records
    ]
    return pd.DataFrame(plain_records, columns=list(columns))


def _shown(scores: pd.DataFrame, protocols: Mapping[str, Mapping[str, Any]]) -> pd.Series:
    """Return which scores are in the tables; groups follow their headline."""
    headlines = (
        Headline(
            answered=_count(row["n"]) - _count(row["error"]) - _count(row["unscored"]),
            n=_count(row["n"]),
            is_scored=bool(pd.notna(row["value"])),
            **{name: row[name] for name in ("date", "file", "cell", "model", "protocol")},
        )
        for row in scores[scores["field"] == ""].to_dict("records")
    )
    selected = select_records(headlines, protocols)
    keys = zip(scores["file"], scores["cell"], strict=True)
    return pd.Series([key in selected for key in keys], index=scores.index, dtype="boolean")


def _count(value: Any) -> int:
    return 0 if pd.isna(value) else int(value)


def _with_settings(scores: pd.DataFrame, protocols: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    in_tables = scores[scores["shown"]]
    stated = set[str]()
    if in_tables["model"].nunique() > 1:
        stated = differing_conditions([protocols[digest] for digest in in_tables["protocol"].unique()])
    for _, rows in scores.groupby("model", sort=True):
        shown = rows[rows["shown"]]["protocol"].unique()
        names = setting_names({digest: protocols[digest] for digest in sorted(shown)}, stated)
        # Scores that are not shown have no setting, only a protocol.
        settings = rows["protocol"].map(names).fillna("")
        scores.loc[rows.index, "setting"] = settings.map(lambda name: plain(name, LONGEST_NAME))
    return scores


class Headline(NamedTuple):
    """One task's headline score of one results file; better ones sort later, by the first five fields."""

    answered: int
    """Number of questions with a score if outcomes are known, otherwise of all questions."""
    n: int
    """Number of questions."""
    is_scored: bool
    """Whether there is a value."""
    date: str
    file: str
    cell: str
    """Name of the task in the file."""
    model: str
    protocol: str
    """Hash of the protocol."""


def select_records(headlines: Iterable[Headline], protocols: Mapping[str, Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Return (file, cell) of one score for each model and protocol: the newest of those with the most answers.

    A score that still waits for a judge is left out if any judged score of the same model and protocol exists.
    """
    best = {(headline.model, headline.protocol): headline for headline in sorted(headlines)}
    scored = {(one.model, _without_judge(protocols[one.protocol])) for one in best.values() if one.is_scored}
    return {
        (one.file, one.cell)
        for one in best.values()
        if one.is_scored or (one.model, _without_judge(protocols[one.protocol])) not in scored
    }


def _without_judge(record: Mapping[str, Any]) -> str:
    """Return a protocol record as JSON, without its hash and judge."""
    rest = {name: value for name, value in record.items() if name != "hash"}
    return json.dumps(rest | {"scoring": {**record["scoring"], "judge": None}}, sort_keys=True)
