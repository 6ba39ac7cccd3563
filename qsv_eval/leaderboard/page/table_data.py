"""Tables of the page as data: cells as text and numbers to sort by, scores with intervals, and the long table."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from qsv_eval.leaderboard.page.sample_pages import SamplePage
from qsv_eval.leaderboard.records import PUBLISHED, TaskCost
from qsv_eval.leaderboard.safe_text import natural
from qsv_eval.leaderboard.tables import Cell, Mark, RowKey, Table, cell_text, format_number
from qsv_eval.scoring.sample_result import Outcome

__all__ = ["BEHIND", "cell_of", "detail_rows", "rows_of", "score_entries", "with_scores"]


def rows_of(table: Table) -> list[dict[str, Any]]:
    """Return the rows of a table; `order` is the order in which they came."""
    return [
        {
            "model": place.model,
            "label": place.label,
            "published": place.is_published,
            "order": order,
            "cells": [None if cell is None else cell_of(cell) for cell in cells],
        }
        for order, (place, cells) in enumerate(table.rows)
    ]


def cell_of(cell: Cell) -> dict[str, Any]:
    """Return what is shown of a cell: the number, under it its interval or range, n, and its marks.

    `said` is for those who do not see how the number looks.
    """
    read = cell_text(cell)
    return {
        "value": cell.value,
        "text": read.value,
        "under": read.possible or read.interval,
        "n": read.n,
        "mark": {Mark.BEST: "best", Mark.SECOND: "second"}.get(cell.mark, ""),
        "near": cell.is_near_best,
        "said": _standing(cell),
        "marks": ", ".join(mark for mark in read.marks if mark != "published"),
    }


def _standing(cell: Cell) -> str:
    """Return in words what the font of a number and its ≈ say."""
    standing = {Mark.BEST: "best", Mark.SECOND: "second best"}.get(cell.mark, "")
    return ", ".join(filter(None, [standing, "cannot be told apart from the best" if cell.is_near_best else ""]))


def with_scores(
    rows: Sequence[dict[str, Any]], table: Table, tasks: Sequence[str], numbers: Mapping[tuple[RowKey, str], int]
) -> list[dict[str, Any]]:
    """Say of each cell of the headline table which score it is: a number of the page's list."""
    for row, (place, _) in zip(rows, table.rows, strict=True):
        for task, cell in zip(tasks, row["cells"], strict=True):
            if cell is not None:
                cell["score"] = numbers[place, task]
    return list(rows)


def score_entries(
    scores: pd.DataFrame,
    usage: Mapping[tuple[str, str], TaskCost],
    shelves: Mapping[tuple[str, str], SamplePage],
) -> list[dict[str, Any]]:
    """Return the headline scores of the measured tasks, in the order of tasks, models and settings.

    Args:
        scores: all scores.
        usage: what the answers rest on, by results file and cell.
        shelves: the samples, by the same.
    """
    shown = scores[scores["shown"] & (scores["field"] == "")]
    measured = set(shown[shown["kind"] != PUBLISHED]["task"])
    shown = shown[shown["task"].isin(measured)]
    rows = sorted(
        shown.to_dict("records"), key=lambda row: (row["task"], natural(row["model"]), natural(row["setting"]))
    )
    entries = []
    for row in rows:
        place = row["file"], row["cell"]
        entry = _entry(row) | {"usage": _usage(usage.get(place))}
        shelf = shelves.get(place)
        entries.append(entry | {"shelf": None if shelf is None else shelf._asdict()})
    return entries


def _entry(row: Mapping[Any, Any]) -> dict[str, Any]:
    def number(name: str) -> Any:
        return None if pd.isna(row[name]) else row[name]

    def text(name: str) -> str:
        return "" if number(name) is None else format_number(row[name], row["scale"])

    counts = {outcome.value: number(outcome.value) for outcome in Outcome}
    names = ("model", "setting", "task", "kind", "scale", "average", "metric", "protocol", "file", "source", "note")
    return {
        **{name: row[name] for name in names},
        "value": number("value"),
        **{f"{name}_text": text(name) for name in ("value", "low", "high", "lowest", "highest", "micro", "macro")},
        "n": None if number("n") is None else int(row["n"]),
        "videos": None if number("clusters") is None else int(row["clusters"]),
        "outcomes": {name: int(count) for name, count in counts.items() if count is not None},
        "complete": number("complete"),
        "degraded": int(number("degraded") or 0),
        "unparsed_share": number("unparsed_share"),
    }


def _usage(usage: TaskCost | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    return {
        "frames": round(usage.frames, 1),
        "p5": round(usage.frames_p5),
        "p95": round(usage.frames_p95),
        "cubes": round(usage.cubes, 1),
        "tokens": round(usage.visual_tokens),
        "tokens_per_frame": None if usage.tokens_per_frame is None else round(usage.tokens_per_frame, 2),
        "seconds": round(usage.total_s, 3),
        "parts": {name: round(value, 4) for name, value in usage.seconds.items()},
        "decoding": round(usage.read_s, 4),
        "answers": usage.answers,
    }


BEHIND: Final = (
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
"""The columns and what is in them; the last one opens the score."""

_NOTHING: Final = ("number", "", "")


def detail_rows(scores: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each measured score: its number, and cells as (kind, value to sort by or None, text)."""
    return [
        {
            "model": score["model"],
            "setting": score["setting"],
            "score": number,
            "protocol": score["protocol"][:8] or "open",
            "cells": _cells(score),
        }
        for number, score in enumerate(scores)
        if score["kind"] != PUBLISHED
    ]


def _cells(score: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    interval = f"{score['low_text']} to {score['high_text']}" if score["low_text"] else ""
    usage = score["usage"] or {}
    frames = usage.get("frames")
    spread = f" ({usage['p5']} to {usage['p95']})" if usage else ""
    outcomes = score["outcomes"]
    return [
        ("word", None, score["task"]),
        ("number", "" if score["value"] is None else score["value"], score["value_text"]),
        ("number", score["low_text"], interval),
        _counted(score["n"]),
        *(_counted(outcomes.get(outcome.value)) for outcome in Outcome),
        _NOTHING if frames is None else ("number", frames, f"{frames:.1f}{spread}"),
        _counted(usage.get("tokens_per_frame"), ".2f"),
        _counted(usage.get("seconds"), ".3f"),
    ]


def _counted(number: float | None, digits: str = "") -> tuple[str, Any, str]:
    return _NOTHING if number is None else ("number", number, format(number, digits))
