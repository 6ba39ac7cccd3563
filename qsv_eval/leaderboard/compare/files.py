"""A comparison of two runs as Markdown and CSV. Questions and replies are text wherever they appear."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from qsv_eval.leaderboard.compare.pairs import Flip
from qsv_eval.leaderboard.compare.tasks import RunComparison
from qsv_eval.leaderboard.compare.words import (
    AVERAGES,
    FLIPS,
    PROTOCOL,
    average_row,
    conclusion,
    left_out,
    protocol_line,
    protocol_rows,
    warnings_of,
)
from qsv_eval.leaderboard.csvfiles import as_csv
from qsv_eval.leaderboard.markdown import escaped, lines_of
from qsv_eval.leaderboard.text import LONGEST, plain
from qsv_eval.leaderboard.write import write_texts

__all__ = ["write_comparison"]


def write_comparison(found: RunComparison, output: Path) -> list[Path]:
    """Write everything, all questions on which only one run is right included; return the files.

    Raises:
        SetupError: the folder cannot be written to.
    """
    contents = {
        "comparison.md": _markdown(found),
        "differences.csv": as_csv(_differences(found)),
        "flips.csv": as_csv(_flips(found)),
    }
    return write_texts(contents, output)


def _markdown(found: RunComparison) -> str:
    parts = ["# Comparison", ""]
    parts += [f"WARNING: {escaped(line)}\n" for line in left_out(found)]
    for task, one in found.tasks.items():
        parts += [f"## {escaped(task)}", ""]
        parts += [f"- A: {escaped(one.first.path)}", f"- B: {escaped(one.second.path)}"]
        parts += [f"- WARNING: {escaped(warning, LONGEST)}" for warning in warnings_of(one)]
        parts += ["", protocol_line(one), ""]
        if one.protocol:
            parts += [*_lines(PROTOCOL, protocol_rows(one)), ""]
        if one.averages:
            parts += [*_lines(AVERAGES, map(average_row, one.averages)), ""]
        parts += [*conclusion(one), ""]
        if one.flips:
            parts += ["Questions on which only one is right:", "", *_lines(FLIPS, one.flips), ""]
    return "\n".join(parts)


def _lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return lines_of(header, ([escaped(cell, LONGEST) for cell in row] for row in rows))


def _differences(found: RunComparison) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for task, comparison in found.tasks.items():
        for one in comparison.averages:
            row = {"task": task, **one._asdict()}
            difference, test = row.pop("difference"), row.pop("mcnemar")
            row |= {name: getattr(difference, name, None) for name in ("mean", "low", "high", "p", "clusters", "error")}
            row |= {f"mcnemar_{name}": getattr(test, name, None) for name in ("first_only", "second_only", "p")}
            rows.append(row)
    return pd.DataFrame(rows)


def _flips(found: RunComparison) -> pd.DataFrame:
    rows = [
        {"task": task} | {name: plain(value, LONGEST) for name, value in flip._asdict().items()}
        for task, comparison in found.tasks.items()
        for flip in comparison.flips
    ]
    return pd.DataFrame(rows, columns=["task", *Flip._fields])
