"""Where benchmarks lie: `$QSV_DATA/<benchmark>/`, or what lmms-eval and the Hugging Face hub have left on this machine.

lmms-eval's YAML cannot name a folder by an environment variable (spec/benchmarks.md section 11.3). So a task file opens
itself as a table of text, which costs nothing, and `process_docs` puts the real table in its place.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qsv_eval.model_adapters.errors import SetupError

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["SETUP_ERROR", "as_table", "data_root", "find_video", "hf_home", "read_parquet"]

SETUP_ERROR: Final = "qsv_setup_error"
"""The column of a table that stands for one that could not be had. It holds the message."""

_SUFFIXES: Final = (".mp4", ".MP4", ".mkv", ".webm")


def data_root() -> Path | None:
    """Return the folder that QSV_DATA names, None where it is not set; SetupError where it is no folder."""
    value = os.environ.get("QSV_DATA")
    if not value:
        return None
    root = Path(value).expanduser()
    if not root.is_dir():
        raise SetupError(f"QSV_DATA={value} is not a folder. Set it to the folder of the benchmarks, or unset it.")
    return root


def hf_home() -> Path:
    """Return the folder below which lmms-eval unpacks the videos that it downloads."""
    return Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()


def find_video(folders: Sequence[Path], stem: str) -> Path:
    """Return the video of that name in the first folder that has it, else the path where it was expected."""
    candidates = (folder / f"{stem}{suffix}" for folder in folders for suffix in _SUFFIXES)
    return next((path for path in candidates if path.is_file()), folders[0] / f"{stem}{_SUFFIXES[0]}")


def read_parquet(files: Iterable[Path], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of parquet files one after the other; SetupError if one is unreadable or lacks a column."""
    import pyarrow
    from pyarrow import parquet

    rows: list[dict[str, Any]] = []
    for file in files:
        try:
            table = parquet.read_table(file)
        except (OSError, pyarrow.ArrowException) as error:
            message = str(error).partition("\n")[0]
            raise SetupError(f"{file} cannot be read as parquet ({message}). Download it again.") from error
        if missing := [column for column in columns if column not in table.column_names]:
            raise SetupError(f"{file} has no column {', '.join(missing)}. Is it the benchmark's own annotation file?")
        rows.extend(table.to_pylist())
    if not rows:
        raise SetupError(f"No rows in {', '.join(map(str, files))}. Download the annotations again.")
    return rows


def as_table(load: Callable[[], Sequence[Any]]) -> "Dataset":
    """Make a table of the rows that `load` returns, or of its SetupError.

    lmms-eval tries five times to load a table, seconds apart, and then reports only that it tried. The first place
    where an exception comes through at once and unchanged is the first row's `doc_to_text`, so the message travels
    there as that row. The table is in memory: a few thousand rows need no cache on a disk that processes share.
    """
    from datasets import Dataset

    try:
        return Dataset.from_list(list(load()))
    except SetupError as error:
        return Dataset.from_list([{SETUP_ERROR: str(error)}])
