"""Published numbers of other models, from `peers.csv`; each has a source.

They were obtained by their authors' protocols. The five columns of `SETTING` must agree before two numbers can be
compared; they are empty where the source does not state them. They make up the setting of the row, except subtitles
where the task's name states them already.
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
        file: CSV file; the package's `peers.csv` if not given.
        measured: further known tasks, because they were measured.

    Raises:
        SetupError: the file cannot be read or lacks a column; a value is not a finite number, has no source or is
            repeated; or a task is unknown.
    """
    name = str(file or "peers.csv")
    try:
        text = (file or files("qsv_eval.leaderboard") / "peers.csv").read_text("utf-8")
    except (OSError, ValueError) as error:
        raise SetupError(f"{name}: cannot be read ({error}); give --peers a CSV file") from error
    rows = csv.DictReader(text.splitlines())
    if missing := [column for column in PEERS_COLUMNS if column not in (rows.fieldnames or ())]:
        raise SetupError(f"{name}: has no column {', '.join(missing)}; it needs {', '.join(PEERS_COLUMNS)}")
    lines = {f"{name}:{rows.line_num}": row for row in rows}
    scores = {line: _score(row, line) for line, row in lines.items()}
    _refuse_repeated(scores)
    for line, row in lines.items():
        _refuse_unknown(row["task"], measured, line)
    return tidy(list(scores.values()))


def _score(row: dict[str, str], line: str) -> dict[str, object]:
    value = _number(row["value"])
    if value is None:
        raise SetupError(f"{line}: {row['value']!r} is not a finite number; delete the line if the number is unknown")
    if not row["source"]:
        raise SetupError(f"{line}: has no source; name the source, or delete the line")
    task = row["task"]
    in_name = {"subtitles": _subtitles_in_name(task)}
    setting = ", ".join(f"{name}={row[name]}" for name in SETTING if row[name] and row[name] != in_name.get(name))
    texts = {name: plain(row[name] or "") for name in ("model", "task", "field", "group", "source", "note")}
    scale = task_named(task).average.scale if task in task_files() else ""
    fixed = {"kind": PUBLISHED, "higher_is_better": True, "shown": True}
    return texts | fixed | {"setting": setting, "value": value, "scale": scale}


def _number(text: str | None) -> float | None:
    """Return the finite number that a text holds, otherwise None."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _subtitles_in_name(task: str) -> str:
    """Return whether a task has subtitles ("yes" or "no") if there are two tasks that differ in them, otherwise ""."""
    if task.endswith(_WITH_SUBTITLES):
        return "yes"
    return "no" if f"{task}{_WITH_SUBTITLES}" in task_files() else ""


def _refuse_repeated(scores: Mapping[str, Mapping[str, object]]) -> None:
    """Raise SetupError if two numbers belong to the same cell of the tables."""
    lines: dict[tuple[object, ...], str] = {}
    for line, score in scores.items():
        key = tuple(score[name] for name in ("model", "setting", "task", "field", "group"))
        if (earlier := lines.setdefault(key, line)) != line:
            cell = ", ".join(str(part) for part in key if part)
            raise SetupError(
                f"{line}: is for the same cell as {earlier} ({cell}); delete one, or state the difference in "
                f"{', '.join(SETTING)}"
            )


def _refuse_unknown(task: str, measured: Set[str], line: str) -> None:
    if task in task_files() or task in measured:
        return
    known = list(task_files()) if task.startswith("qsv_") else all_names()
    if task not in known:
        raise SetupError(f"{line}: {unknown_task(task, known)}")
