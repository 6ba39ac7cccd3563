"""Report of a comparison of two runs: in the terminal, as Markdown and as CSV. Questions and replies are escaped."""

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from qsv_eval.leaderboard.compare.averages import MetricComparison
from qsv_eval.leaderboard.compare.compare import RunComparison, TaskComparison
from qsv_eval.leaderboard.compare.pairing import Flip
from qsv_eval.leaderboard.csv_files import as_csv
from qsv_eval.leaderboard.markdown import escaped, table_lines
from qsv_eval.leaderboard.safe_text import LONGEST, plain
from qsv_eval.leaderboard.tables import format_number
from qsv_eval.leaderboard.write import write_texts
from qsv_eval.model_adapters.plurals import counted

__all__ = ["left_out_tasks", "print_comparison", "warnings_of", "write_comparison"]

_PROTOCOL: Final = ("field", "A", "B")
_AVERAGES: Final = ("", "n", "A", "B", "A - B", "95 %", "p", "only A / only B right", "McNemar p", "detectable")
_FLIPS: Final = ("id", "right", "question", "answer", "reply of A", "reply of B")
_NARROW: Final = {
    "only A / only B right": "only\nA / B\nright",
    "McNemar p": "McNe-\nmar p",
    "detectable": "de-\ntect-\nable",
}
"""Headings of `_AVERAGES` in the terminal."""
_METHOD: Final = (
    "95 %: bootstrap over videos (or images); p: permutation test that exchanges the runs on whole videos; McNemar p: "
    "takes questions as independent; detectable: minimum detectable difference, found with 80 % power."
)
_MAX_IDS: Final = 5
"""Limit of ids in a warning."""
_MAX_TEXT: Final = 200
"""Limit of a question, reply or setting in the terminal, in characters."""


def print_comparison(comparison: RunComparison, *, flips: int = 10) -> None:
    """Print protocols, then averages, then the first `flips` questions on which only one run is right."""
    console = Console()
    for line in left_out_tasks(comparison):
        _print(console, f"WARNING: {line}")
    for name, task in comparison.tasks.items():
        console.rule(Text(plain(name)))
        _print(console, f"A: {task.first.path}")
        _print(console, f"B: {task.second.path}")
        _print(console, _protocol_line(task))
        if task.protocol:
            console.print(_text_table(_PROTOCOL, _protocol_rows(task)))
        for warning in warnings_of(task):
            _print(console, f"WARNING: {warning}")
        if task.averages:
            console.print(_number_table(_AVERAGES, map(_average_row, task.averages)))
        for line in _conclusion(task):
            _print(console, line)
        if task.flips[:flips]:
            console.print(_text_table(_FLIPS, task.flips[:flips]))
        if len(task.flips) > flips:
            questions = counted(len(task.flips), "question")
            _print(console, f"{questions} on which only one run is right; --output writes all")


def write_comparison(comparison: RunComparison, output: Path) -> list[Path]:
    """Write the comparison with all questions on which only one run is right; return the files.

    Raises:
        SetupError: the folder cannot be written.
    """
    contents = {
        "comparison.md": _markdown(comparison),
        "differences.csv": as_csv(_differences(comparison)),
        "flips.csv": as_csv(_flips(comparison)),
    }
    return write_texts(contents, output)


def left_out_tasks(comparison: RunComparison) -> Iterator[str]:
    """Yield a line about tasks that only one run has, and one about each task that could not be compared."""
    for tasks, run in ((comparison.only_first, "A"), (comparison.only_second, "B")):
        if tasks:
            yield f"only {run} has {', '.join(tasks)}"
    for task, reason in comparison.failed.items():
        yield f"{task} is not compared: {reason}"


def warnings_of(task: TaskComparison) -> Iterator[str]:
    """Yield the reasons why the runs are less comparable."""
    pairing = task.pairing
    for ids, text in [
        (pairing.only_first, "only in A"),
        (pairing.only_second, "only in B"),
        (pairing.changed, "with another text or answer in B, left out"),
        (pairing.reworded, "worded differently in B, because lmms-eval's own tasks have prompts for some models"),
    ]:
        if ids:
            listed = f"{', '.join(ids[:_MAX_IDS])}{' …' if len(ids) > _MAX_IDS else ''}"
            yield f"{counted(len(ids), 'question')} {text}: {listed}"
    if pairing.unscored:
        yield f"{counted(pairing.unscored, 'shared question')} without a score in at least one run, left out"
    if not task.clusters_known:
        yield "the task does not state which questions share a video: each is a cluster, so intervals are too narrow"


def _protocol_line(task: TaskComparison) -> str:
    if task.protocol is None:
        return "protocols: unknown, because there is no results file beside the samples"
    return "protocols differ:" if task.protocol else "protocols are equal"


def _protocol_rows(task: TaskComparison) -> Iterator[Sequence[str]]:
    for field, (first, second) in (task.protocol or {}).items():
        yield field, str(first), str(second)


def _average_row(metric: MetricComparison) -> Sequence[str]:
    def number(value: float | None) -> str:
        return "" if value is None or math.isnan(value) else format_number(value, metric.scale)

    def p_value(p: float) -> str:
        return f"{p:.4f}" if p >= 0.0001 else "< 0.0001"

    difference, test = metric.difference, metric.mcnemar
    return (
        f"{metric.field}: {metric.group}" if metric.field else metric.group,
        str(metric.n),
        number(metric.first),
        number(metric.second),
        number(difference.mean) if difference else "",
        f"[{number(difference.low)}, {number(difference.high)}]" if difference else "",
        p_value(difference.p) if difference else "",
        f"{test.first_only} / {test.second_only}" if test else "",
        p_value(test.p) if test else "",
        number(metric.detectable),
    )


def _conclusion(task: TaskComparison) -> Iterator[str]:
    """Yield whether the headline differs significantly, and how to read the table."""
    if not task.averages:
        yield "No question has a score in both runs: there is nothing to compare."
        return
    headline, *groups = task.averages
    difference = headline.difference
    if difference is None:
        yield "The questions are in one cluster, or have no average: their difference has no interval."
        return
    if difference.low <= 0 <= difference.high or difference.p >= 0.05:
        detectable = "" if headline.detectable is None else format_number(headline.detectable, headline.scale)
        power = f"; a true difference of {detectable} would be found with 80 % power" if detectable else ""
        yield f"A and B do not differ significantly on these questions{power}."
    else:
        yield f"The average of {'A' if difference.mean > 0 else 'B'} is significantly higher."
    yield _METHOD
    if groups:
        yield "The p of groups is not corrected for their number: of twenty equal groups, one will seem to differ."


def _text_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(*header)
    for row in rows:
        table.add_row(*(Text(plain(cell, _MAX_TEXT)) for cell in row))
    return table


def _number_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table in which only the first column is wrapped, so that no number is cut."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(header[0], overflow="fold", min_width=9)
    for name in header[1:]:
        table.add_column(_NARROW.get(name, name), justify="right", no_wrap=True)
    for name, *numbers in rows:
        narrow = (number.replace(", ", ",").replace("< 0.", "<.").replace(" / ", "/") for number in numbers)
        table.add_row(Text(plain(name, _MAX_TEXT)), *map(Text, narrow))
    return table


def _print(console: Console, text: str) -> None:
    console.print(Text(plain(text)), soft_wrap=True)


def _markdown(comparison: RunComparison) -> str:
    parts = ["# Comparison", ""]
    parts += [f"WARNING: {escaped(line)}\n" for line in left_out_tasks(comparison)]
    for name, task in comparison.tasks.items():
        parts += [f"## {escaped(name)}", ""]
        parts += [f"- A: {escaped(task.first.path)}", f"- B: {escaped(task.second.path)}"]
        parts += [f"- WARNING: {escaped(warning, LONGEST)}" for warning in warnings_of(task)]
        parts += ["", _protocol_line(task), ""]
        if task.protocol:
            parts += [*_markdown_table(_PROTOCOL, _protocol_rows(task)), ""]
        if task.averages:
            parts += [*_markdown_table(_AVERAGES, map(_average_row, task.averages)), ""]
        parts += [*_conclusion(task), ""]
        if task.flips:
            parts += ["Questions on which only one run is right:", "", *_markdown_table(_FLIPS, task.flips), ""]
    return "\n".join(parts)


def _markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return table_lines(header, ([escaped(cell, LONGEST) for cell in row] for row in rows))


def _differences(comparison: RunComparison) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for name, task in comparison.tasks.items():
        for metric in task.averages:
            row = {"task": name, **metric._asdict()}
            difference, test = row.pop("difference"), row.pop("mcnemar")
            row |= {key: getattr(difference, key, None) for key in ("mean", "low", "high", "p", "clusters", "error")}
            row |= {f"mcnemar_{key}": getattr(test, key, None) for key in ("first_only", "second_only", "p")}
            rows.append(row)
    return pd.DataFrame(rows)


def _flips(comparison: RunComparison) -> pd.DataFrame:
    rows = [
        {"task": name} | {key: plain(value, LONGEST) for key, value in flip._asdict().items()}
        for name, task in comparison.tasks.items()
        for flip in task.flips
    ]
    return pd.DataFrame(rows, columns=["task", *Flip._fields])
