"""A sweep: one lmms-eval run for each checkpoint, in a folder of its own."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.modelargs import ModelArgs
from qsv_eval.model_adapters.quicksviewer.checkpoint import read_config
from qsv_eval.run import RunReport, refuse_foreign_output, run, run_name
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
    tell: Callable[[str, RunReport], object] | None = None,
) -> dict[str, RunReport]:
    """Run all cells of a grid, a checkpoint at a time; cells whose answers are known cost nothing.

    Args:
        grid: what is varied.
        options: of the model (`ModelArgs`), the same for all cells.
        output: holds a run's folder for each checkpoint. The same command resumes, also with more cells or checkpoints.
        limit: questions of each task at the most.
        judge: as for `run`.
        tell: is given each checkpoint's report when it is done, before the next one begins.

    Returns:
        The report of each checkpoint; none in a process that is not the first of several.

    Raises:
        SetupError: a checkpoint or a folder is not what it should be; none was run.
    """
    given = models(grid, options)
    places = list(zip(given, folders(given, output), strict=True))
    for model, folder in places if len(given) > 1 else ():
        # Else the last of them would be looked at when the night is over.
        read_config(model.pretrained, revision=model.revision, subfolder=model.subfolder)
        refuse_foreign_output(folder, model)
    reports = {}
    for number, (model, folder) in enumerate(places, 1):
        if len(given) > 1:
            print(f"Checkpoint {number} of {len(given)}: {model.pretrained}", file=sys.stderr, flush=True)
        report = run(grid.tasks, model, folder, limit=limit, judge=judge, settings=grid.settings())
        if report is not None:
            reports[model.pretrained] = report
            if tell is not None:
                tell(model.pretrained, report)
    return reports
