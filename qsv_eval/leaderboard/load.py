"""Results files as tidy pandas frames: `runs`, a file a row, and `scores`, a number a row.

`RUNS` and `SCORES` say what the columns mean.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from qsv_eval.leaderboard.labels import ModelStatement, model_names, setting_names, unlike_conditions
from qsv_eval.leaderboard.records import degraded_of, protocols_of, scores_of
from qsv_eval.leaderboard.result_files import ResultsFile, find_results, mapping, model_stated, runs_behind
from qsv_eval.leaderboard.safe_text import LONGEST_NAME, plain, table_name
from qsv_eval.model_adapters.variant_name import plain_name
from qsv_eval.protocol import Protocol

__all__ = ["RUNS", "SCORES", "Headline", "Tables", "load", "select_records"]


RUNS: Final[Mapping[str, str]] = {
    "file": "the results file, below the folder that was named",
    "model": "the checkpoint's or hub repository's name",
    "date": "when the run began, as lmms-eval's stamp",
    "rescored": "whether it is a later scoring of saved replies",
    "tasks": "how many tasks it has",
}
"""Meaning of the columns of the frame `runs`."""

SCORES: Final[Mapping[str, str]] = {
    "model": "the checkpoint's or hub repository's name",
    "setting": "what differs among the runs of the model",
    "task": "as lmms-eval names it, without the settings of a sweep's cell",
    "field": "what the task is broken down by; empty for the headline; `also` for further official averages",
    "group": "which group of the field",
    "kind": "official, lmms-eval's own, or published",
    "value": "the average; empty where there is none",
    "low": "lower end of the 95 % interval, clustered by video",
    "high": "its upper end",
    "n": "questions asked, failures included",
    "correct": "outcomes: how many are right",
    "wrong": "how many are wrong",
    "unparsed": "how many replies hold no readable answer",
    "empty": "how many replies are empty",
    "error": "how many questions got no reply",
    "unscored": "how many replies have no score",
    "complete": "whether all have a score; empty where that is not known",
    "lowest": "the value if everything without a score were wrong",
    "highest": "the value if everything without a score were right",
    "scale": "percent, or the ends of the scale; empty where it is lmms-eval's own",
    "average": "the rule of the average in words",
    "metric": "the metric's name in the results file",
    "judge": "the model that judged replies; empty where rules score",
    "higher_is_better": "which way is up",
    "micro": "the mean over questions",
    "macro": "the mean over the groups of the first field",
    "clusters": "how many videos or images the questions are on",
    "unparsed_share": "percentage of scored replies that hold no readable answer",
    "degraded": "answers that rest on fewer frames, for want of memory",
    "protocol": "hash of everything that moves the score; protocols.json has the records",
    "file": "the results file it is from",
    "cell": "the task's name in that file, a sweep's settings and all",
    "date": "when the run began",
    "shown": "whether it is in the tables; an older run of the same protocol, or with fewer answers, is not",
    "source": "where a published number was published",
    "note": "what is to be known of a published number",
}
"""Meaning of the columns of the frame `scores`."""

_COUNTS = ("n", "correct", "wrong", "unparsed", "empty", "error", "unscored", "clusters", "degraded")
_NUMBERS = ("value", "low", "high", "lowest", "highest", "micro", "macro", "unparsed_share")
_FLAGS = ("complete", "higher_is_better", "shown")


class Tables(NamedTuple):
    """Everything that tables are made of."""

    runs: pd.DataFrame
    scores: pd.DataFrame
    protocols: dict[str, dict[str, Any]]
    """The records by their hashes."""


def load(folders: Sequence[Path]) -> Tables:
    """Read all results files below folders; samples files are not touched.

    Raises:
        SetupError: a folder is not there or holds none, or a file is damaged or of an unknown format.
    """
    files = find_results(folders)
    runs: list[dict[str, Any]] = []
    scores: list[dict[str, Any]] = []
    protocols: dict[str, dict[str, Any]] = {}
    known = [(file, behind := runs_behind(file, files), protocols_of(file, behind)) for file in files]
    models = model_names([_stated(behind[0], of_task.values()) for _, behind, of_task in known])
    for (file, behind, of_task), model in zip(known, models, strict=True):
        degraded = {task: count for run in reversed(behind) for task, count in degraded_of(run).items()}
        hashes = {task: protocol.hash for task, protocol in of_task.items()}
        protocols |= {hashes[task]: protocol.as_dict() for task, protocol in of_task.items()}
        own = {"model": model, "file": table_name(file.name), "date": file.date}
        runs.append(own | {"rescored": file.is_rescored, "tasks": len(of_task)})
        for score in scores_of(file, degraded):
            cell = score["task"]
            named = {"cell": table_name(cell), "task": plain_name(cell)}
            by = {"protocol": hashes[cell], "judge": of_task[cell].scoring.judge or ""}
            scores.append(score | own | named | by)
    frame = tidy(scores)
    frame["shown"] = _shown(frame, protocols)
    return Tables(_frame(runs, RUNS), _with_settings(frame, protocols), protocols)


def _stated(run: ResultsFile, protocols: Iterable[Protocol]) -> ModelStatement:
    answered = {str(mapping(protocol.answers).get("checkpoint") or "") for protocol in protocols}
    return ModelStatement(model_stated(run), answered.pop() if len(answered) == 1 else "")


def tidy(scores: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return records as a frame with all columns of `SCORES`."""
    frame = _frame(scores, SCORES)
    types = dict.fromkeys(_COUNTS, "Int64") | dict.fromkeys(_NUMBERS, "float64") | dict.fromkeys(_FLAGS, "boolean")
    frame = frame.astype(types)
    texts = [name for name in SCORES if name not in types]
    return frame.astype(dict.fromkeys(texts, object)).fillna(dict.fromkeys(texts, ""))


def _frame(records: Sequence[Mapping[str, Any]], columns: Iterable[str]) -> pd.DataFrame:
    # pandas cannot hold every text that JSON can: plain text it can.
    plainly = [
        {name: plain(value, LONGEST_NAME) if isinstance(value, str) else value for name, value in record.items()}
        for record in records
    ]
    return pd.DataFrame(plainly, columns=list(columns))


def _shown(scores: pd.DataFrame, protocols: Mapping[str, Mapping[str, Any]]) -> pd.Series:
    """Tell which scores are in the tables: groups go with their headline."""
    headlines = (
        Headline(
            answered=_counted(row["n"]) - _counted(row["error"]) - _counted(row["unscored"]),
            n=_counted(row["n"]),
            is_scored=bool(pd.notna(row["value"])),
            **{name: row[name] for name in ("date", "file", "cell", "model", "protocol")},
        )
        for row in scores[scores["field"] == ""].to_dict("records")
    )
    kept = select_records(headlines, protocols)
    pairs = zip(scores["file"], scores["cell"], strict=True)
    return pd.Series([pair in kept for pair in pairs], index=scores.index, dtype="boolean")


def _counted(value: Any) -> int:
    return 0 if pd.isna(value) else int(value)


def _with_settings(scores: pd.DataFrame, protocols: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    in_tables = scores[scores["shown"]]
    stated = set[str]()
    if in_tables["model"].nunique() > 1:
        stated = unlike_conditions([protocols[digest] for digest in in_tables["protocol"].unique()])
    for _, own in scores.groupby("model", sort=True):
        shown = own[own["shown"]]["protocol"].unique()
        names = setting_names({digest: protocols[digest] for digest in sorted(shown)}, stated)
        # What is not shown has no setting of its own, only its protocol.
        scores.loc[own.index, "setting"] = (
            own["protocol"].map(names).fillna("").map(lambda name: plain(name, LONGEST_NAME))
        )
    return scores


class Headline(NamedTuple):
    """Sort key of scores by the same protocol. Better ones sort later, by the first five fields."""

    answered: int
    """Questions with a score, where outcomes say so; else all that were asked."""
    n: int
    """Questions asked."""
    is_scored: bool
    """Whether it has a value."""
    date: str
    file: str
    cell: str
    """The task's name in it."""
    model: str
    protocol: str
    """Its hash."""


def select_records(headlines: Iterable[Headline], protocols: Mapping[str, Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Return file and cell of one score for each model and protocol: of the most answers, and of those the newest.

    A score that still waits for a judge gives way to any that has had one.
    """
    best: dict[tuple[str, str], Headline] = {}
    for one in sorted(headlines):
        best[one.model, one.protocol] = one
    judged = {(one.model, _before_judging(protocols[one.protocol])) for one in best.values() if one.is_scored}
    return {
        (one.file, one.cell)
        for one in best.values()
        if one.is_scored or (one.model, _before_judging(protocols[one.protocol])) not in judged
    }


def _before_judging(record: Mapping[str, Any]) -> str:
    """Return all of a protocol but its hash and judge."""
    plain = {name: value for name, value in record.items() if name != "hash"}
    return json.dumps(plain | {"scoring": {**record["scoring"], "judge": None}}, sort_keys=True)
