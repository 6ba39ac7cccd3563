"""Numbers that others published, from `peers.csv`: only such as have a source, and marked as published wherever shown.

Their protocols are their authors' own. The five setting columns are what such numbers must agree in before they are
worth comparing; where the source does not say, they are empty.
"""

import csv
from importlib.resources import files
from pathlib import Path
from typing import Final

import pandas as pd

from qsv_eval.leaderboard.load import tidy
from qsv_eval.leaderboard.records import PUBLISHED
from qsv_eval.leaderboard.text import plain
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.tasks import task_files
from qsv_eval.tasks.registry import task_named

__all__ = ["PEERS_COLUMNS", "read_peers"]

SETTING: Final = ("frames", "subtitles", "split", "average", "judge")
PEERS_COLUMNS: Final = ("model", "task", "field", "group", "value", *SETTING, "source", "note")


def read_peers(file: Path | None = None) -> pd.DataFrame:
    """Return published numbers as a frame with the columns of `load.SCORES`; of the package's own file by default.

    Raises:
        SetupError: the file cannot be read, lacks a column, or has a number without a value or a source.
    """
    name = str(file or "peers.csv")
    try:
        text = (file or files("qsv_eval.leaderboard") / "peers.csv").read_text("utf-8")
    except (OSError, ValueError) as error:
        raise SetupError(f"{name}: cannot be read ({error}); --peers wants a CSV file") from error
    rows = csv.DictReader(text.splitlines())
    if missing := [column for column in PEERS_COLUMNS if column not in (rows.fieldnames or ())]:
        raise SetupError(f"{name}: has no column {', '.join(missing)}; it needs {', '.join(PEERS_COLUMNS)}")
    return tidy([_score(row, f"{name}:{number}") for number, row in enumerate(rows, 2)])


def _score(row: dict[str, str], where: str) -> dict[str, object]:
    try:
        value = float(row["value"])
    except (TypeError, ValueError) as error:
        raise SetupError(f"{where}: {row['value']!r} is no number; leave the line out where none is known") from error
    if not row["source"]:
        raise SetupError(f"{where}: has no source; only what is sourced may stand beside measured numbers")
    setting = ", ".join(f"{name}={row[name]}" for name in SETTING if row[name] and name != "subtitles")
    texts = {name: plain(row[name] or "") for name in ("model", "task", "field", "group", "source", "note")}
    task = row["task"]
    scale = task_named(task).average.scale if task in task_files() else ""
    fixed = {"kind": PUBLISHED, "higher_is_better": True, "shown": True}
    return texts | fixed | {"setting": setting, "value": value, "scale": scale}
