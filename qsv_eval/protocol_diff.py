"""Protocol of a task, as stored by a run or as it is now, and the difference of two."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.protocol import differences
from qsv_eval.run_dirs import only_run
from qsv_eval.task_names import select

__all__ = ["protocol_of", "show_differences"]


def protocol_of(name: str, run: Path | None) -> dict[str, Any]:
    """Return the record of a task: of a run's newest results, or what is known without a model.

    Raises:
        SetupError: there is none, or the folder holds several runs.
    """
    [task] = select([name]).names
    if run is None:
        from qsv_eval.tasks import task_files
        from qsv_eval.tasks.registry import task_named

        if task not in task_files():
            raise SetupError(f"{task} is lmms-eval's own; its protocol is known only of a run: --run FOLDER")
        return task_named(task).protocol().as_dict()
    only_run(run)
    found: dict[str, Any] = {}
    for file in sorted(run.rglob("*_results.json"), key=lambda file: file.name):
        stored = json.loads(file.read_text("utf-8")).get("protocols", {})
        found = stored.get(task, found)
    if not found:
        raise SetupError(f"{run}: has no results of {task}")
    return found


def show_differences(one: Mapping[str, Any], other: Mapping[str, Any], first: str, second: str) -> None:
    """Print where two records differ."""
    found = differences(one, other)
    console = Console()
    if not found:
        console.print("the protocols are equal")
        return
    table = Table("field", first, second)
    for field, (left, right) in found.items():
        table.add_row(field, Text(str(left)), Text(str(right)))
    console.print(table)
