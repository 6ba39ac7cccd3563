"""Reading of annotation files (parquet, JSON, JSON lines and CSV) as rows."""

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from qsv_eval.model_adapters.errors import SetupError

__all__ = ["read_rows"]

Row = dict[str, Any]


def read_rows(files: Iterable[Path], columns: Sequence[str] = ()) -> list[Row]:
    """Return the rows of all files.

    A JSON file holds a list of records, or a mapping of ids to records, whose ids become the column `id`.

    Raises:
        SetupError: a file cannot be read, a record lacks one of `columns`, or there are no rows.
    """
    rows: list[Row] = []
    files = list(files)
    for file in files:
        file_rows = _READERS[file.suffix](file)
        for index, row in enumerate(file_rows):
            if missing := [column for column in columns if column not in row]:
                raise SetupError(
                    f"{file}: record {index} has no {', '.join(missing)}. Is it the official annotation file?"
                )
        rows.extend(file_rows)
    if not rows:
        raise SetupError(f"No rows in {', '.join(map(str, files)) or 'no files'}. Download the annotations again.")
    return rows


def _parquet(file: Path) -> list[Row]:
    import pyarrow
    from pyarrow import parquet

    try:
        return list(parquet.read_table(file).to_pylist())
    except (OSError, pyarrow.ArrowException) as error:
        message = str(error).partition("\n")[0]
        raise SetupError(f"{file} cannot be read as parquet ({message}). Download it again.") from error


def _json(file: Path) -> list[Row]:
    try:
        content = json.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise SetupError(f"{file} cannot be read as JSON ({error}). Download it again.") from error
    if isinstance(content, dict):
        content = [{"id": key, **value} for key, value in content.items() if isinstance(value, dict)]
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise SetupError(f"{file} is not a list of records. Is it the official annotation file?")
    return content


def _jsonl(file: Path) -> list[Row]:
    import jsonlines

    try:
        with jsonlines.open(file) as reader:
            return list(reader.iter(type=dict))
    except (OSError, ValueError, jsonlines.Error) as error:
        raise SetupError(f"{file} cannot be read as JSON lines ({error}). Download it again.") from error


def _csv(file: Path) -> list[Row]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            return list(csv.DictReader(text))
    except (OSError, ValueError, csv.Error) as error:
        raise SetupError(f"{file} cannot be read as CSV ({error}). Download it again.") from error


_READERS = {".parquet": _parquet, ".json": _json, ".jsonl": _jsonl, ".csv": _csv}
