"""The end of a sweep in the terminal: a row for each cell, with what it took beside its score."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from qsv_eval.run import RunReport, TaskReport

__all__ = ["print_cells"]


def print_cells(reports: Mapping[str, RunReport]) -> None:
    """Print the cells of each checkpoint, and where their files are."""
    console = Console()
    table = Table("checkpoint", "cell", "score", "95 %", "n", "frames (5 to 95 %)", "cubes", "tokens a frame", "tokens")
    table.add_column("s a question")
    for checkpoint, report in reports.items():
        for task in report.tasks:
            table.add_row(Text(checkpoint), Text(task.task), *_score(task), *_use(task))
    table.caption = "seconds: what cells share is divided among their questions"
    console.print(table)
    for report in reports.values():
        console.print(
            f"{report.asked} questions asked in this run; results in {report.results_file}",
            soft_wrap=True,
            highlight=False,
        )
    if not all(report.complete for report in reports.values()):
        console.print("INCOMPLETE: some questions have no answer; the same command asks them again.")


def _score(task: TaskReport) -> Sequence[str]:
    summary = task.metrics.get("outcome")
    if not isinstance(summary, Mapping):
        first = next((value for name, value in task.metrics.items() if "_stderr" not in name), None)
        return (f"{first:.4g}" if isinstance(first, int | float) else "", "", "")
    interval = " to ".join(f"{end:.1f}" for end in summary["interval"] or ())
    mark = "" if summary["complete"] else " INCOMPLETE"
    return ("none" if summary["value"] is None else f"{summary['value']:.1f}{mark}", interval, str(summary["n"]))


def _use(task: TaskReport) -> Sequence[str]:
    use = task.usage
    if not use:
        return ("", "", "", "", "")
    frames, each = use["frames"], use["tokens_per_frame"]
    return (
        f"{frames['mean']:.0f} ({frames['p5']:.0f} to {frames['p95']:.0f})",
        f"{use['cubes']:.0f}",
        "" if each is None else f"{each:.1f}",
        f"{use['prompt_tokens']:,.0f}",
        f"{sum(use['seconds'].values()):.2f}",
    )
