"""The end of a checkpoint's sweep in the terminal: a row for each cell, with what it took beside its score."""

from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from qsv_eval.leaderboard.shown import formatted
from qsv_eval.model_adapters.cells import MARK
from qsv_eval.run import RunReport, TaskReport

__all__ = ["print_cells"]


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
    value = "none" if summary["value"] is None else formatted(summary["value"], summary["scale"])
    ends = [formatted(end, summary["scale"]) for end in summary["interval"] or ()]
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
