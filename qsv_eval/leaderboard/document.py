"""`leaderboard.md`: the tables, what stands behind each number, published numbers with their sources, and the runs."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from qsv_eval.leaderboard.markdown import as_markdown, escaped, legend, lines_of
from qsv_eval.leaderboard.records import PUBLISHED
from qsv_eval.leaderboard.shown import formatted
from qsv_eval.leaderboard.tables import Table, compared
from qsv_eval.leaderboard.text import natural
from qsv_eval.scoring.outcome import Outcome, named

__all__ = ["document"]


def document(headline: Table, breakdowns: Iterable[Table], scores: pd.DataFrame, runs: pd.DataFrame) -> str:
    """Return the text of `leaderboard.md`; the frames have the columns of `load.SCORES` and `load.RUNS`."""
    shown = compared(scores[scores["shown"]])
    is_published = shown["kind"] == PUBLISHED
    measured, published = shown[~is_published & (shown["field"] == "")], shown[is_published]
    parts = ["# Leaderboard", "", "Made by `qsv-eval leaderboard` out of results files; not to be edited.", ""]
    parts += [as_markdown(headline), legend()]
    parts += ["## What stands behind the numbers", "", *_behind(measured), ""]
    parts += [as_markdown(table) for table in breakdowns]
    if len(published):
        parts += ["## Published numbers", "", *_sources(published), ""]
    parts += ["## Runs", "", *lines_of(list(runs.columns), _escaped_rows(runs)), ""]
    return "\n".join(parts)


def _behind(scores: pd.DataFrame) -> list[str]:
    behind = ("scale", "protocol", "file")
    header = ["model", "setting", "task", "score", "outcomes", "mean of questions", "average", *behind]
    rows = []
    ordered = sorted(
        scores.to_dict("records"), key=lambda row: (row["task"], natural(row["model"]), natural(row["setting"]))
    )
    for row in ordered:
        micro = "" if pd.isna(row["micro"]) else formatted(row["micro"], row["scale"])
        value = "" if pd.isna(row["value"]) else formatted(row["value"], row["scale"])
        said = (row[name] for name in ("model", "setting", "task"))
        average = row["average"] or f"{row['kind']}: {row['metric'] or 'no number'}"
        average += f", judged by {row['judge']}" if row["judge"] else ""
        last = (escaped(row[name]) for name in behind)
        rows.append([*map(escaped, said), value, _outcomes(row), micro, escaped(average), *last])
    return lines_of(header, rows)


def _outcomes(row: dict[Any, Any]) -> str:
    counts = {outcome.value: int(row[outcome.value]) for outcome in Outcome if not pd.isna(row[outcome.value])}
    asked = "" if pd.isna(row["n"]) else f"{row['n']} asked"
    return ": ".join(filter(None, [asked, named(counts)]))


def _sources(scores: pd.DataFrame) -> list[str]:
    columns = ["model", "setting", "task", "group", "value", "source", "note"]
    return lines_of(columns, _escaped_rows(scores.sort_values(["model", "task", "field"], kind="stable")[columns]))


def _escaped_rows(frame: pd.DataFrame) -> Iterable[list[str]]:
    return ([escaped(value) for value in row] for row in frame.itertuples(index=False, name=None))
