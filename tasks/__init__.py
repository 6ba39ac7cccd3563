"""Benchmarks: one folder each, with lmms-eval task files (`*.yaml`) and `task.py`.

`task.py` reads the official downloads into samples and defines prompt, scorer and average. Task files name the
functions of `lmms_hooks.py`. `qsv-eval run` adds this folder to lmms-eval's path; with lmms-eval alone, pass it as
`--include_path`. A file without the suffix `.yaml` is included by task files.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["FOLDER", "task_files"]

FOLDER: Final = Path(__file__).parent
"""Include path for lmms-eval."""


@cache
def task_files() -> Mapping[str, Path]:
    """Return the task files by task name, sorted; a file has the name of its task."""
    return {path.stem: path for path in sorted(FOLDER.rglob("*.yaml"), key=lambda path: path.stem)}
