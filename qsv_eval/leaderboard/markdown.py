"""Tables as Markdown, and `leaderboard.md` with all of them. Text from files is escaped, so it is never markup."""

import html
import re
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from qsv_eval.leaderboard.records import PUBLISHED
from qsv_eval.leaderboard.safe_text import natural, plain
from qsv_eval.leaderboard.tables import LEGEND, Cell, Mark, Table, cell_text, comparable, format_number
from qsv_eval.scoring.sample_result import Outcome, outcome_name

__all__ = ["as_markdown", "escaped", "markdown_document", "table_lines"]


def markdown_document(headline: Table, breakdowns: Iterable[Table], scores: pd.DataFrame, runs: pd.DataFrame) -> str:
    """Return the text of `leaderboard.md`; the frames have the columns of `load.SCORES` and `load.RUNS`."""
    shown = comparable(scores[scores["shown"]])
    is_published = shown["kind"] == PUBLISHED
    measured, published = shown[~is_published & (shown["field"] == "")], shown[is_published]
    parts = ["# Leaderboard", "", "Made by `qsv-eval leaderboard` from results files; do not edit.", ""]
    parts += [as_markdown(headline), _legend()]
    parts += ["## Details of each score", "", *_details(measured), ""]
    parts += [as_markdown(table) for table in breakdowns]
    if len(published):
        parts += ["## Published numbers", "", *_sources(published), ""]
    parts += ["## Runs", "", *table_lines(list(runs.columns), _escaped_rows(runs)), ""]
    return "\n".join(parts)


def as_markdown(table: Table) -> str:
    """Return a table under its title."""
    header = ["model", "setting", *map(escaped, table.columns)]
    rows = [[escaped(key.model), escaped(key.label), *map(_cell, cells)] for key, cells in table.rows]
    return "\n".join([f"## {escaped(table.title)}", "", *table_lines(header, rows), ""])


def table_lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table whose cells are escaped already."""
    return [f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *rows]]


_SPECIAL = re.compile(r"([\\`*_\[\]|~$#])")
"""Characters with a meaning within a table cell."""
_LINKS = re.compile(r"(://|www\.|@)", re.IGNORECASE)
"""Texts that become a link or mention a user without markup."""


def escaped(text: object, limit: int | None = None) -> str:
    """Return text for a table cell."""
    safe = html.escape(plain(text, limit), quote=False)
    return _LINKS.sub(lambda link: f"{link[0][:-1]}&#{ord(link[0][-1])};", _SPECIAL.sub(r"\\\1", safe))


def _legend() -> str:
    best = ("**bold**, *italic*", "best and second best of the measured, complete scores on the most questions")
    return "\n".join([*(f"- {mark}: {meaning}." for mark, meaning in [best, *LEGEND]), ""])


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    text = cell_text(cell)
    value = {Mark.BEST: f"**{text.value}**", Mark.SECOND: f"*{text.value}*"}.get(cell.mark, text.value)
    near = "≈" if cell.is_near_best else ""
    marks = [mark for mark in text.marks if mark != "published"]
    if text.possible:
        marks[0] = f"incomplete: {text.possible}"
    return " ".join(filter(None, [value + near, text.interval, text.n, f"({'; '.join(marks)})" if marks else ""]))


def _details(scores: pd.DataFrame) -> list[str]:
    last_columns = ("scale", "protocol", "file")
    header = ["model", "setting", "task", "score", "outcomes", "mean of questions", "average", *last_columns]
    rows = []
    for row in sorted(scores.to_dict("records"), key=_order):
        value, micro = (
            "" if pd.isna(row[name]) else format_number(row[name], row["scale"]) for name in ("value", "micro")
        )
        average = row["average"] or f"{row['kind']}: {row['metric'] or 'no number'}"
        average += f", judged by {row['judge']}" if row["judge"] else ""
        first = (escaped(row[name]) for name in ("model", "setting", "task"))
        last = (escaped(row[name]) for name in last_columns)
        rows.append([*first, value, _outcomes(row), micro, escaped(average), *last])
    return table_lines(header, rows)


def _order(row: dict[Any, Any]) -> Any:
    return row["task"], natural(row["model"]), natural(row["setting"])


def _outcomes(row: dict[Any, Any]) -> str:
    counts = {outcome.value: int(row[outcome.value]) for outcome in Outcome if not pd.isna(row[outcome.value])}
    n = "" if pd.isna(row["n"]) else f"{row['n']} asked"
    return ": ".join(filter(None, [n, outcome_name(counts)]))


def _sources(scores: pd.DataFrame) -> list[str]:
    columns = ["model", "setting", "task", "group", "value", "source", "note"]
    ordered = scores.sort_values(["model", "task", "field"], kind="stable")
    return table_lines(columns, _escaped_rows(ordered[columns]))


def _escaped_rows(frame: pd.DataFrame) -> Iterable[list[str]]:
    return ([escaped(value) for value in row] for row in frame.itertuples(index=False, name=None))
