"""Tables of the page as data: cells with texts and sort values, and the details of each score."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from qsv_eval.leaderboard.page.sample_pages import SamplePage
from qsv_eval.leaderboard.records import PUBLISHED, TaskCost
from qsv_eval.leaderboard.safe_text import natural
from qsv_eval.leaderboard.tables import Cell, Mark, RowKey, Table, cell_text, comparable, format_number
from qsv_eval.scoring.sample_result import Outcome

__all__ = ["DETAIL_COLUMNS", "cell_of", "detail_rows", "rows_of", "score_entries", "with_score_indices"]


def rows_of(table: Table) -> list[dict[str, Any]]:
    """Return the rows of a table; `order` is their original order."""
    return [
        {
            "model": key.model,
            "label": key.label,
            "published": key.is_published,
            "order": order,
            "cells": [None if cell is None else cell_of(cell) for cell in cells],
        }
        for order, (key, cells) in enumerate(table.rows)
    ]


def cell_of(cell: Cell) -> dict[str, Any]:
    """Return the texts and marks of a cell; `said` is for screen readers."""
    texts = cell_text(cell)
    return {
        "value": cell.value,
        "text": texts.value,
        "under": texts.possible or texts.interval,
        "n": texts.n,
        "mark": {Mark.BEST: "best", Mark.SECOND: "second"}.get(cell.mark, ""),
        "near": cell.is_near_best,
        "said": _rank_text(cell),
        "marks": ", ".join(mark for mark in texts.marks if mark != "published"),
    }


def _rank_text(cell: Cell) -> str:
    """Return the meaning of a number's font and its ≈ in words."""
    rank = {Mark.BEST: "best", Mark.SECOND: "second best"}.get(cell.mark, "")
    return ", ".join(filter(None, [rank, "not significantly different from the best" if cell.is_near_best else ""]))


def with_score_indices(
    rows: Sequence[dict[str, Any]], table: Table, tasks: Sequence[str], indices: Mapping[tuple[RowKey, str], int]
) -> list[dict[str, Any]]:
    """Add to each cell of the headline table the index of its score in the page's list."""
    for row, (key, _) in zip(rows, table.rows, strict=True):
        for task, cell in zip(tasks, row["cells"], strict=True):
            if cell is not None:
                cell["score"] = indices[key, task]
    return list(rows)


def score_entries(
    scores: pd.DataFrame,
    usage: Mapping[tuple[str, str], TaskCost],
    sample_pages: Mapping[tuple[str, str], SamplePage],
) -> list[dict[str, Any]]:
    """Return the headline scores of measured tasks, sorted by task, model and setting.

    Args:
        scores: all scores.
        usage: costs of the answers, by results file and cell.
        sample_pages: sample pages, by results file and cell.
    """
    headlines = comparable(scores[scores["shown"] & (scores["field"] == "")])
    rows = sorted(
        headlines.to_dict("records"), key=lambda row: (row["task"], natural(row["model"]), natural(row["setting"]))
    )
    entries = []
    for row in rows:
        key = row["file"], row["cell"]
        page = sample_pages.get(key)
        shelf = None if page is None else page._asdict()
        entries.append(_entry(row) | {"usage": _usage(usage.get(key)), "shelf": shelf})
    return entries


def _entry(row: Mapping[Any, Any]) -> dict[str, Any]:
    def value_of(name: str) -> Any:
        return None if pd.isna(row[name]) else row[name]

    def text(name: str) -> str:
        return "" if value_of(name) is None else format_number(row[name], row["scale"])

    counts = {outcome.value: value_of(outcome.value) for outcome in Outcome}
    names = ("model", "setting", "task", "kind", "scale", "average", "metric", "protocol", "file", "source", "note")
    return {
        **{name: row[name] for name in names},
        "value": value_of("value"),
        **{f"{name}_text": text(name) for name in ("value", "low", "high", "lowest", "highest", "micro", "macro")},
        "n": None if value_of("n") is None else int(row["n"]),
        "videos": None if value_of("clusters") is None else int(row["clusters"]),
        "outcomes": {name: int(count) for name, count in counts.items() if count is not None},
        "complete": value_of("complete"),
        "degraded": int(value_of("degraded") or 0),
        "unparsed_share": value_of("unparsed_share"),
    }


def _usage(cost: TaskCost | None) -> dict[str, Any] | None:
    if cost is None:
        return None
    return {
        "frames": round(cost.frames, 1),
        "p5": round(cost.frames_p5),
        "p95": round(cost.frames_p95),
        "cubes": round(cost.cubes, 1),
        "tokens": round(cost.visual_tokens),
        "tokens_per_frame": None if cost.tokens_per_frame is None else round(cost.tokens_per_frame, 2),
        "seconds": round(cost.total_s, 3),
        "parts": {name: round(value, 4) for name, value in cost.seconds.items()},
        "decoding": round(cost.read_s, 4),
        "answers": cost.answers,
    }


DETAIL_COLUMNS: Final = (
    ("model", "name"),
    ("task", "word"),
    ("score", "number"),
    ("95 % interval", "number"),
    ("n", "number"),
    *((outcome.value, "number") for outcome in Outcome),
    ("frames used", "number"),
    ("tokens a frame", "number"),
    ("s a question", "number"),
    ("protocol", "word"),
)
"""Names and kinds of the columns of details; the last one opens the score."""


def detail_rows(scores: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each measured score: its index, and cells as (kind, sort value or None, text)."""
    return [
        {
            "model": score["model"],
            "setting": score["setting"],
            "score": index,
            "protocol": score["protocol"][:8] or "open",
            "cells": _detail_cells(score),
        }
        for index, score in enumerate(scores)
        if score["kind"] != PUBLISHED
    ]


def _detail_cells(score: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    interval = f"{score['low_text']} to {score['high_text']}" if score["low_text"] else ""
    usage = score["usage"] or {}
    frames = usage.get("frames")
    percentiles = f" ({usage['p5']} to {usage['p95']})" if usage else ""
    return [
        ("word", None, score["task"]),
        ("number", "" if score["value"] is None else score["value"], score["value_text"]),
        ("number", score["low_text"], interval),
        _number_cell(score["n"]),
        *(_number_cell(score["outcomes"].get(outcome.value)) for outcome in Outcome),
        _EMPTY if frames is None else ("number", frames, f"{frames:.1f}{percentiles}"),
        _number_cell(usage.get("tokens_per_frame"), ".2f"),
        _number_cell(usage.get("seconds"), ".3f"),
    ]


_EMPTY: Final = ("number", "", "")


def _number_cell(number: float | None, digits: str = "") -> tuple[str, Any, str]:
    return _EMPTY if number is None else ("number", number, format(number, digits))
