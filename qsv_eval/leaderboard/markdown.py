"""`leaderboard.md` and tables as Markdown, with all text from files escaped."""

import html
import re
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from qsv_eval.leaderboard.records import PUBLISHED
from qsv_eval.leaderboard.safe_text import natural, plain
from qsv_eval.leaderboard.tables import LEGEND, Cell, Mark, Table, cell_text, compared, format_number
from qsv_eval.scoring.sample_result import Outcome, outcome_name

__all__ = ["as_markdown", "escaped", "legend", "lines_of", "markdown_document"]


_SPECIAL = re.compile(r"([\\`*_\[\]|~$#])")
"""Characters with a meaning in a Markdown cell; those at the start of a line have none there."""
_LINKS = re.compile(r"(://|www\.|@)", re.IGNORECASE)
"""Text that becomes a link or a mention by itself."""


def escaped(text: object, limit: int | None = None) -> str:
    """Return text for a table's cell."""
    shown = html.escape(plain(text, limit), quote=False)
    return _LINKS.sub(lambda link: f"{link[0][:-1]}&#{ord(link[0][-1])};", _SPECIAL.sub(r"\\\1", shown))


def lines_of(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table's lines; cells must be escaped already."""
    ruled = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(row)} |" for row in ruled]


def as_markdown(table: Table) -> str:
    """Return a table under its title."""
    header = ["model", "setting", *map(escaped, table.columns)]
    rows = [[escaped(place.model), escaped(place.label), *map(_cell, cells)] for place, cells in table.rows]
    return "\n".join([f"## {escaped(table.title)}", "", *lines_of(header, rows), ""])


def legend() -> str:
    """Return what the marks mean."""
    best = [("**bold**, *italic*", "best and second best of the measured, complete scores on the most questions")]
    return "\n".join([*(f"- {mark}: {meaning}." for mark, meaning in [*best, *LEGEND]), ""])


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    read = cell_text(cell)
    value = {Mark.BEST: f"**{read.value}**", Mark.SECOND: f"*{read.value}*"}.get(cell.mark, read.value)
    near = "≈" if cell.is_near_best else ""
    marks = [mark for mark in read.marks if mark != "published"]
    if read.possible:
        marks[0] = f"incomplete: {read.possible}"
    return " ".join(filter(None, [value + near, read.interval, read.n, f"({'; '.join(marks)})" if marks else ""]))


def markdown_document(headline: Table, breakdowns: Iterable[Table], scores: pd.DataFrame, runs: pd.DataFrame) -> str:
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
        micro = "" if pd.isna(row["micro"]) else format_number(row["micro"], row["scale"])
        value = "" if pd.isna(row["value"]) else format_number(row["value"], row["scale"])
        said = (row[name] for name in ("model", "setting", "task"))
        average = row["average"] or f"{row['kind']}: {row['metric'] or 'no number'}"
        average += f", judged by {row['judge']}" if row["judge"] else ""
        last = (escaped(row[name]) for name in behind)
        rows.append([*map(escaped, said), value, _outcomes(row), micro, escaped(average), *last])
    return lines_of(header, rows)


def _outcomes(row: dict[Any, Any]) -> str:
    counts = {outcome.value: int(row[outcome.value]) for outcome in Outcome if not pd.isna(row[outcome.value])}
    asked = "" if pd.isna(row["n"]) else f"{row['n']} asked"
    return ": ".join(filter(None, [asked, outcome_name(counts)]))


def _sources(scores: pd.DataFrame) -> list[str]:
    columns = ["model", "setting", "task", "group", "value", "source", "note"]
    return lines_of(columns, _escaped_rows(scores.sort_values(["model", "task", "field"], kind="stable")[columns]))


def _escaped_rows(frame: pd.DataFrame) -> Iterable[list[str]]:
    return ([escaped(value) for value in row] for row in frame.itertuples(index=False, name=None))
