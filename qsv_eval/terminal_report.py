"""Tables printed at the end of a run: scores, breakdowns, time by stage, throughput; and agreement of two judges."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from qsv_eval.leaderboard.tables import format_number
from qsv_eval.model_adapters.plurals import counted
from qsv_eval.run import RunReport, TaskReport

if TYPE_CHECKING:
    from qsv_eval.judge import Agreement

__all__ = ["print_agreement", "print_report", "print_summaries"]


def print_report(report: RunReport) -> None:
    """Print scores, outcomes, breakdowns, cost, and the path of the results file."""
    console = Console()
    scored = {task.task: found for task in report.tasks if isinstance(found := task.metrics.get("outcome"), Mapping)}
    if scored:
        print_summaries(scored)
    others = [task for task in report.tasks if task.task not in scored]
    if others:
        console.print(_lmms_eval_metrics(others))
    if report.efficiency.get("questions"):
        console.print(_stage_times(report.efficiency))
        console.print(_throughput(report.efficiency))
    answered = f"{counted(report.asked, 'question')} asked in this run"
    console.print(Text(f"{answered}; results in {report.results_file}"), soft_wrap=True)
    if report.damaged:
        console.print(
            f"{counted(report.damaged, 'answer')} used videos with frames that could not be decoded: see lost_frames"
        )
    for task in report.tasks:
        if task.degraded:
            console.print(
                f"{task.task}: DEGRADED: {counted(task.degraded, 'answer')} used fewer frames, because memory ran out"
            )
    if not report.complete:
        console.print(
            "INCOMPLETE: some questions have no answer. Our scores leave them out and show the possible range; "
            "lmms-eval's own count them as wrong. The journal has the reasons; the same command asks them again."
        )


def print_summaries(summaries: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the scores of tasks, then the breakdown, average and protocol of each."""
    console = Console()
    console.print(_scores(summaries))
    for name, summary in summaries.items():
        if summary["breakdown"]:
            console.print(_breakdown(name, summary))
        console.print(_provenance(name, summary), highlight=False, soft_wrap=True)


def _scores(summaries: Mapping[str, Mapping[str, Any]]) -> Table:
    incomplete = any(not summary["complete"] for summary in summaries.values())
    table = Table("task", "score", "95 %", "n", "outcomes", *(["possible"] if incomplete else []))
    for name, summary in summaries.items():
        scale = summary["scale"]
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in summary["counts"].items() if count)
        ends = [_number(summary[end], scale) for end in ("lowest", "highest")]
        interval = " to ".join(_number(end, scale) for end in summary["interval"] or ())
        figures = [_number(summary["value"], scale), interval, str(summary["n"]), outcomes]
        possible = [] if not incomplete else ["" if summary["complete"] else " to ".join(ends)]
        table.add_row(name, *figures, *possible)
    return table


def _breakdown(name: str, summary: Mapping[str, Any]) -> Table:
    table = Table(name, "", "score", "n")
    for field, groups in summary["breakdown"].items():
        for index, (value, group) in enumerate(groups.items()):
            figures = _number(group["value"], summary["scale"]), str(group["n"])
            table.add_row(field if index == 0 else "", Text(value), *figures)
    return table


def _provenance(name: str, summary: Mapping[str, Any]) -> str:
    scale = "" if summary["scale"] == "percent" else f" ({summary['scale']})"
    parts = [f"{name}{scale}: {summary['average']}"]
    if summary["disagreements"]:
        parts.append(f"the reference's extractor reads {summary['disagreements']} replies otherwise")
    if judge := summary.get("judge"):
        parts.append(
            f"judge {judge['model']}: {judge['cached']} known, {judge['calls']} calls, {judge['failed']} failed"
        )
    return "; ".join([*parts, f"protocol {summary['protocol']['hash']}"])


def _stage_times(efficiency: Mapping[str, Any]) -> Table:
    """Show the time that the answering threads spent in each stage, and what was read in the background."""
    table = Table("stage", "time (s)", "share")
    total_s = sum(efficiency["stages"].values())
    for stage, seconds in efficiency["stages"].items():
        table.add_row(stage, f"{seconds:.1f}", f"{seconds / total_s:.0%}" if total_s else "")
    overlap = "" if efficiency["overlap"] is None else f", {efficiency['overlap']:.0%} of it hidden"
    table.caption = (
        f"{efficiency['wall_s']:.1f} s with {counted(efficiency['processes'], 'process', 'processes')}; reading "
        f"{efficiency['read_s']:.1f} s in the background{overlap}; {counted(efficiency['reads'], 'read')} of "
        f"{counted(efficiency['videos'], 'video')}; peak {efficiency['peak_bytes'] / 1e9:.1f} GB"
    )
    return table


def _throughput(efficiency: Mapping[str, Any]) -> Table:
    """Show latency, size and rate of the questions answered in this run."""
    table = Table("figure", "value")
    table.add_row("seconds per question, p50 / p95", f"{efficiency['p50_s']:.2f} / {efficiency['p95_s']:.2f}")
    table.add_row("frames per question", f"{efficiency['frames']:.0f}")
    table.add_row("cubes per question", f"{efficiency['cubes']:.0f}")
    table.add_row("visual tokens per question", f"{efficiency['visual_tokens']:,.0f}")
    table.add_row("questions per minute", f"{efficiency['questions_per_minute']:.1f}")
    table.add_row("videos per minute", f"{efficiency['videos_per_minute']:.1f}")
    return table


def _lmms_eval_metrics(tasks: list[TaskReport]) -> Table:
    """Show lmms-eval's own tasks: their metrics as they are, and how many questions failed."""
    table = Table("task", "metric", "value", "failed questions")
    for task in tasks:
        for name, value in task.metrics.items():
            if isinstance(value, int | float) and "_stderr" not in name:
                table.add_row(task.task, name, f"{value:.4g}", str(task.failures))
    return table


def _number(value: float | None, scale: str) -> str:
    return "none" if value is None else format_number(value, scale)


def print_agreement(found: Mapping[str, "Agreement"]) -> None:
    """Print how far two judges agree, task by task."""
    table = Table("task", "on", "kappa", "n", "differ")
    for task, agreement in found.items():
        for name, kappa in [("yes or no", agreement.correct), *agreement.scores.items()]:
            if kappa.n:
                value = "none" if kappa.kappa is None else f"{kappa.kappa:.3f}"
                table.add_row(task, name, value, str(kappa.n), str(len(kappa.disagreeing)))
    Console().print(table)
