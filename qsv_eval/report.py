"""The end of a run in the terminal: a table of scores with what stands behind them."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from qsv_eval.run import RunReport, TaskReport

__all__ = ["print_report"]


def print_report(report: RunReport) -> None:
    """Print scores, outcomes, breakdowns, and where the files are."""
    console = Console()
    scored = [task for task in report.tasks if isinstance(task.metrics.get("outcome"), Mapping)]
    if scored:
        console.print(_scores(scored))
        for task in scored:
            console.print(_breakdown(task))
            console.print(_provenance(task), highlight=False, soft_wrap=True)
    others = [task for task in report.tasks if task not in scored]
    if others:
        console.print(_plain(others))
    if report.efficiency.get("questions"):
        console.print(_efficiency(report.efficiency))
    answered = f"{report.asked} questions asked in this run"
    console.print(f"{answered}; results in {report.results_file}", soft_wrap=True, highlight=False)
    if report.damaged:
        console.print(f"{report.damaged} answers rest on videos with frames that could not be decoded: see lost_frames")
    for task in report.tasks:
        if task.degraded:
            console.print(f"{task.task}: DEGRADED: {task.degraded} answers rest on fewer frames, for want of memory")
    if not report.complete:
        console.print(
            "INCOMPLETE: some questions have no answer. Our scores leave them out and show the possible range; "
            "lmms-eval's own count them as wrong. The journal has the reasons; the same command asks them again."
        )


def _scores(tasks: list[TaskReport]) -> Table:
    table = Table("task", "accuracy", "n", "outcomes", "possible")
    for task in tasks:
        summary = task.metrics["outcome"]
        outcomes = ", ".join(f"{count} {name}" for name, count in summary["counts"].items() if count)
        possible = "" if summary["complete"] else f"{summary['lowest']:.1f} to {summary['highest']:.1f}"
        table.add_row(task.task, _percent(summary["accuracy"]), str(summary["n"]), outcomes, possible)
    return table


def _breakdown(task: TaskReport) -> Table:
    table = Table(task.task, "", "accuracy", "n")
    for field, groups in task.metrics["outcome"]["breakdown"].items():
        for number, (value, group) in enumerate(groups.items()):
            table.add_row(field if number == 0 else "", value, _percent(group["accuracy"]), str(group["n"]))
    return table


def _provenance(task: TaskReport) -> str:
    reference = _percent(task.metrics.get("accuracy_reference_extractor"))
    protocol = task.metrics["outcome"].get("protocol", {}).get("hash", "none")
    return f"{task.task}: read by the reference's extractor {reference}; protocol {protocol}"


def _efficiency(figures: Mapping[str, Any]) -> Table:
    """Show what the questions that were asked now cost: of the answering threads' time each stage's part."""
    stages = figures["stages"]
    spent_s = sum(stages.values())
    table = Table("time", "", "per question", "")
    per_question = [
        ("p50 / p95", f"{figures['p50_s']:.2f} / {figures['p95_s']:.2f} s"),
        ("frames", f"{figures['frames']:.0f}"),
        ("cubes", f"{figures['cubes']:.0f}"),
        ("visual tokens", f"{figures['visual_tokens']:,.0f}"),
        ("questions a minute", f"{figures['questions_per_minute']:.1f}"),
        ("videos a minute", f"{figures['videos_per_minute']:.1f}"),
    ]
    for (name, seconds), figure in zip(stages.items(), per_question, strict=True):
        table.add_row(name, f"{seconds:.1f} s, {seconds / spent_s:.0%}", *figure)
    overlap = "" if figures["overlap"] is None else f", {figures['overlap']:.0%} of it hidden"
    table.caption = (
        f"{figures['wall_s']:.1f} s with {figures['processes']} processes; reading {figures['read_s']:.1f} s in the "
        f"background{overlap}; {figures['reads']} reads of {figures['videos']} videos; "
        f"peak {figures['peak_bytes'] / 1e9:.1f} GB"
    )
    return table


def _plain(tasks: list[TaskReport]) -> Table:
    """Show lmms-eval's own tasks: their metrics as they are, and how many questions failed."""
    table = Table("task", "metric", "value", "failed questions")
    for task in tasks:
        for name, value in task.metrics.items():
            if isinstance(value, int | float) and "_stderr" not in name:
                table.add_row(task.task, name, f"{value:.4g}", str(task.failures))
    return table


def _percent(value: Any) -> str:
    return "none" if value is None else f"{value:.1f}"
