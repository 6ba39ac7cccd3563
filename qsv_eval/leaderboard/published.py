"""Numbers that others published, from `peers.csv`: only such as have a source, and marked as published wherever shown.

Their protocols are their authors' own. The five setting columns are what such numbers must agree in before they are
worth comparing; where the source does not say, they are empty. What is in them tells rows of one model apart, but for
subtitles where there is a task with them and one without.
"""

import csv
import math
from collections.abc import Mapping, Set
from importlib.resources import files
from pathlib import Path
from typing import Final

import pandas as pd

from qsv_eval.leaderboard.load import tidy
from qsv_eval.leaderboard.records import PUBLISHED
from qsv_eval.leaderboard.safe_text import plain
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.task_names import all_names, unknown_task
from qsv_eval.tasks import task_files
from qsv_eval.tasks.registry import task_named

__all__ = ["PEERS_COLUMNS", "read_peers"]

SETTING: Final = ("frames", "subtitles", "split", "average", "judge")
_WITH_SUBTITLES: Final = "_sub"
PEERS_COLUMNS: Final = ("model", "task", "field", "group", "value", *SETTING, "source", "note")


def read_peers(file: Path | None = None, measured: Set[str] = frozenset()) -> pd.DataFrame:
    """Return published numbers as a frame with the columns of `load.SCORES`.

    Args:
        file: the package's own by default.
        measured: tasks that are known because there are scores of them.

    Raises:
        SetupError: the file cannot be read or lacks a column; a number is none, has no source or is there twice; or a
            task is not known.
    """
    name = str(file or "peers.csv")
    try:
        text = (file or files("qsv_eval.leaderboard") / "peers.csv").read_text("utf-8")
    except (OSError, ValueError) as error:
        raise SetupError(f"{name}: cannot be read ({error}); --peers wants a CSV file") from error
    rows = csv.DictReader(text.splitlines())
    if missing := [column for column in PEERS_COLUMNS if column not in (rows.fieldnames or ())]:
        raise SetupError(f"{name}: has no column {', '.join(missing)}; it needs {', '.join(PEERS_COLUMNS)}")
    lines = {f"{name}:{rows.line_num}": row for row in rows}
    scores = {where: _score(row, where) for where, row in lines.items()}
    _refuse_repeated(scores)
    for where, row in lines.items():
        _refuse_unknown(row["task"], measured, where)
    return tidy(list(scores.values()))


def _score(row: dict[str, str], where: str) -> dict[str, object]:
    value = _number(row["value"])
    if value is None:
        raise SetupError(f"{where}: {row['value']!r} is no number; leave the line out where none is known")
    if not row["source"]:
        raise SetupError(f"{where}: has no source; only what is sourced may stand beside measured numbers")
    said = {"subtitles": _subtitles_of(row["task"])}
    setting = ", ".join(f"{name}={row[name]}" for name in SETTING if row[name] and row[name] != said.get(name))
    texts = {name: plain(row[name] or "") for name in ("model", "task", "field", "group", "source", "note")}
    task = row["task"]
    scale = task_named(task).average.scale if task in task_files() else ""
    fixed = {"kind": PUBLISHED, "higher_is_better": True, "shown": True}
    return texts | fixed | {"setting": setting, "value": value, "scale": scale}


def _number(text: str | None) -> float | None:
    """Return a finite number, None where the text is none."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _subtitles_of(task: str) -> str:
    """Return what a task's name says of subtitles, where there is a task with them and one without; else nothing."""
    if task.endswith(_WITH_SUBTITLES):
        return "yes"
    return "no" if f"{task}{_WITH_SUBTITLES}" in task_files() else ""


def _refuse_repeated(scores: Mapping[str, Mapping[str, object]]) -> None:
    """Refuse two numbers for one place in the tables: which of them would be shown, nobody could tell."""
    first: dict[tuple[object, ...], str] = {}
    for where, score in scores.items():
        place = tuple(score[name] for name in ("model", "setting", "task", "field", "group"))
        if (before := first.setdefault(place, where)) != where:
            said = ", ".join(str(part) for part in place if part)
            raise SetupError(
                f"{where}: has the same place as {before} ({said}); leave one out, or say in {', '.join(SETTING)} what "
                "they differ in"
            )


def _refuse_unknown(task: str, measured: Set[str], where: str) -> None:
    if task in task_files() or task in measured:
        return
    known = list(task_files()) if task.startswith("qsv_") else all_names()
    if task not in known:
        raise SetupError(f"{where}: {unknown_task(task, known)}")
