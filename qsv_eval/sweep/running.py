"""A sweep: one lmms-eval run for each checkpoint, in a folder of its own."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.modelargs import ModelArgs
from qsv_eval.run import RunReport, run, run_name
from qsv_eval.sweep.grid import Grid

if TYPE_CHECKING:
    from qsv_eval.judge.settings import JudgeSettings

__all__ = ["folders", "models", "sweep"]


def models(grid: Grid, options: Mapping[str, Any]) -> list[ModelArgs]:
    """Return the model's options for each checkpoint of a grid."""
    return [ModelArgs.parse({**options, "pretrained": checkpoint}) for checkpoint in grid.checkpoints]


def folders(given: list[ModelArgs], output: Path) -> list[Path]:
    """Return the folder of each checkpoint's run; SetupError where one is there twice."""
    found = [output / run_name(model) for model in given]
    if len(set(found)) < len(found):
        raise SetupError("sweep: a checkpoint is there twice")
    return found


def sweep(
    grid: Grid,
    options: Mapping[str, Any],
    output: Path,
    *,
    limit: int | None = None,
    judge: "JudgeSettings | None" = None,
) -> dict[str, RunReport]:
    """Run all cells of a grid, a checkpoint at a time; cells whose answers are known cost nothing.

    Args:
        grid: what is varied.
        options: of the model (`ModelArgs`), the same for all cells.
        output: holds a run's folder for each checkpoint. The same command resumes, also with more cells or checkpoints.
        limit: questions of each task at the most.
        judge: as for `run`.

    Returns:
        The report of each checkpoint; none in a process that is not the first of several.
    """
    given = models(grid, options)
    reports = {}
    for number, (model, folder) in enumerate(zip(given, folders(given, output), strict=True), 1):
        if len(given) > 1:
            print(f"Checkpoint {number} of {len(given)}: {model.pretrained}", file=sys.stderr, flush=True)
        report = run(grid.tasks, model, folder, limit=limit, judge=judge, settings=grid.settings())
        if report is not None:
            reports[model.pretrained] = report
    return reports
