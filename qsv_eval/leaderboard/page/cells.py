"""Tables as the page has them: cells as texts and the numbers to sort by."""

from collections.abc import Mapping, Sequence
from typing import Any

from qsv_eval.leaderboard.shown import reading
from qsv_eval.leaderboard.tables import Cell, Mark, Place, Table

__all__ = ["cell_of", "rows_of", "with_scores"]


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
    read = reading(cell)
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
    rows: Sequence[dict[str, Any]], table: Table, tasks: Sequence[str], numbers: Mapping[tuple[Place, str], int]
) -> list[dict[str, Any]]:
    """Say of each cell of the headline table which score it is: a number of the page's list."""
    for row, (place, _) in zip(rows, table.rows, strict=True):
        for task, cell in zip(tasks, row["cells"], strict=True):
            if cell is not None:
                cell["score"] = numbers[place, task]
    return list(rows)
