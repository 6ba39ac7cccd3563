"""The benchmarks: a folder each, with its task files for lmms-eval and what they mean.

In a folder, `*.yaml` are the tasks, `layout.py` turns the benchmark's official layouts into samples, and `task.py` says
how a sample is asked and how a reply is scored. The task files name the functions of `functions.py`.

`qsv-eval run` puts this folder on lmms-eval's path; with lmms-eval alone, pass it as `--include_path`. A file without
the suffix `.yaml` is no task of its own but a part that tasks include.
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
    """Return the task files by the names of their tasks, which are the names of the files; sorted."""
    return {path.stem: path for path in sorted(FOLDER.rglob("*.yaml"), key=lambda path: path.stem)}
