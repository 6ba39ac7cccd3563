"""Run a sweep: one lmms-eval run for each checkpoint, in a folder of its own, and a table of its variants."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from qsv_eval.leaderboard.tables import format_number
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.model_args import ModelArgs
from qsv_eval.model_adapters.quicksviewer.checkpoint import read_config
from qsv_eval.model_adapters.variant_name import MARK
from qsv_eval.run import RunReport, TaskReport, refuse_foreign_output, run, run_name
from qsv_eval.sweep.grid import Grid

__all__ = ["folders", "models", "print_cells", "sweep"]

if TYPE_CHECKING:
    from qsv_eval.judge.settings import JudgeSettings


def models(grid: Grid, options: Mapping[str, Any]) -> list[ModelArgs]:
    """Return the model's options for each checkpoint of a grid."""
    return [ModelArgs.parse({**options, "pretrained": checkpoint}) for checkpoint in grid.checkpoints]


def folders(given: list[ModelArgs], output: Path) -> list[Path]:
    """Return the folder of each checkpoint's run; SetupError where one is there twice."""
    found = [output / run_name(model) for model in given]
    if len(set(found)) < len(found):
        raise SetupError("sweep: duplicate checkpoint; name each checkpoint once")
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


def print_cells(checkpoint: str, report: RunReport) -> None:
    """Print the cells of a checkpoint, and where their files are."""
    console = Console()
    console.print(Text(checkpoint, style="bold"), soft_wrap=True)
    console.print(_table(report))
    asked = f"{report.asked} questions asked in this run; results in {report.results_file}"
    console.print(Text(asked), soft_wrap=True)
    console.print("seconds: what cells share, such as a video's frames, is divided among their questions")
    if not report.complete:
        console.print("INCOMPLETE: some questions have no answer; the same command asks them again.")


def _table(report: RunReport) -> Table:
    several = len({task.task.partition(MARK)[0] for task in report.tasks}) > 1
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("cell", overflow="fold", min_width=14)
    for name in ("score (95 %)", "n", "frames\n(5-95 %)", "cubes", "tokens\na frame", "s a\nreply"):
        table.add_column(name, justify="right", no_wrap=True)
    for task in report.tasks:
        name = task.task if several else task.task.partition(MARK)[2] or task.task
        table.add_row(Text(name.replace(",", ", ")), *_score(task), *_use(task))
    return table


def _score(task: TaskReport) -> tuple[str, str]:
    summary = task.metrics.get("outcome")
    if not isinstance(summary, Mapping):
        first = next((value for name, value in task.metrics.items() if "_stderr" not in name), None)
        return (f"{first:.4g}" if isinstance(first, int | float) else "", "")
    value = "none" if summary["value"] is None else format_number(summary["value"], summary["scale"])
    ends = [format_number(end, summary["scale"]) for end in summary["interval"] or ()]
    interval = f" ({'-'.join(ends)})" if ends else ""
    mark = "" if summary["complete"] else " INCOMPLETE"
    return f"{value}{interval}{mark}", str(summary["n"])


def _use(task: TaskReport) -> tuple[str, str, str, str]:
    use = task.usage
    if not use:
        return "", "", "", ""
    frames, each = use["frames"], use["tokens_per_frame"]
    return (
        f"{frames['mean']:.0f} ({frames['p5']:.0f}-{frames['p95']:.0f})",
        f"{use['cubes']:.0f}",
        "" if each is None else f"{each:.1f}",
        f"{sum(use['seconds'].values()):.2f}",
    )
