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
from qsv_eval.leaderboard.markdown import escaped, lines_of
from qsv_eval.leaderboard.safe_text import LONGEST, plain
from qsv_eval.leaderboard.tables import format_number
from qsv_eval.leaderboard.write import write_texts
from qsv_eval.model_adapters.plurals import counted

__all__ = [
    "AVERAGES",
    "FLIPS",
    "PROTOCOL",
    "average_row",
    "conclusion",
    "left_out",
    "print_comparison",
    "protocol_line",
    "protocol_rows",
    "warnings_of",
    "write_comparison",
]


PROTOCOL: Final = ("field", "A", "B")
AVERAGES: Final = ("", "n", "A", "B", "A - B", "95 %", "p", "only A / only B right", "McNemar p", "detectable")
FLIPS: Final = ("id", "right", "question", "answer", "reply of A", "reply of B")

_METHOD: Final = (
    "95 %: videos (or images) resampled; p: the two exchanged on whole videos; McNemar's p takes questions for "
    "independent; detectable: the smallest true difference that would be found four times in five."
)
_NAMED: Final = 5
"""Ids that a warning names."""


def left_out(comparison: RunComparison) -> Iterator[str]:
    """Say which tasks are not compared: those that only one of the two runs has, and those that cannot be read."""
    for tasks, run in ((comparison.only_first, "A"), (comparison.only_second, "B")):
        if tasks:
            yield f"only {run} has {', '.join(tasks)}"
    for task, why in comparison.failed.items():
        yield f"{task} is not compared: {why}"


def protocol_line(comparison: TaskComparison) -> str:
    """Say whether the protocols differ."""
    if comparison.protocol is None:
        return "protocols: not known, because no results file beside the samples has them"
    return "protocols differ:" if comparison.protocol else "protocols are equal"


def protocol_rows(comparison: TaskComparison) -> Iterator[Sequence[str]]:
    """Yield where they differ, under the header `PROTOCOL`."""
    for field, (first, second) in (comparison.protocol or {}).items():
        yield field, str(first), str(second)


def warnings_of(comparison: TaskComparison) -> Iterator[str]:
    """Yield what makes the two less comparable."""
    pairing = comparison.pairing
    for ids, what in [
        (pairing.only_first, "questions are only in A"),
        (pairing.only_second, "questions are only in B"),
        (pairing.changed, "questions have another text or answer in B, and are left out"),
        (pairing.reworded, "questions are put in other words in B: lmms-eval's own tasks have some for each model"),
    ]:
        if ids:
            yield f"{len(ids)} {what}: {', '.join(ids[:_NAMED])}{' …' if len(ids) > _NAMED else ''}"
    if pairing.unscored:
        yield f"{pairing.unscored} shared questions have no score in at least one run, and are left out"
    if not comparison.clusters_known:
        yield "the task does not say which questions share a video: each counts as its own, so intervals are too narrow"


def average_row(one: MetricComparison) -> Sequence[str]:
    """Return one comparison under the header `AVERAGES`."""

    def number(value: float | None) -> str:
        return "" if value is None or math.isnan(value) else format_number(value, one.scale)

    def chance(p: float) -> str:
        return f"{p:.4f}" if p >= 0.0001 else "< 0.0001"

    difference, test = one.difference, one.mcnemar
    return (
        f"{one.field}: {one.group}" if one.field else one.group,
        str(one.n),
        number(one.first),
        number(one.second),
        number(difference.mean) if difference else "",
        f"[{number(difference.low)}, {number(difference.high)}]" if difference else "",
        chance(difference.p) if difference else "",
        f"{test.first_only} / {test.second_only}" if test else "",
        chance(test.p) if test else "",
        number(one.detectable),
    )


def conclusion(comparison: TaskComparison) -> Iterator[str]:
    """Say what the headline's difference is worth, and how to read the table."""
    if not comparison.averages:
        yield "No question has a score in both: there is nothing to compare."
        return
    headline, *groups = comparison.averages
    difference = headline.difference
    if difference is None:
        yield "The questions are of one cluster, or have no average: their difference has no interval."
        return
    if difference.low <= 0 <= difference.high or difference.p >= 0.05:
        detectable = "" if headline.detectable is None else format_number(headline.detectable, headline.scale)
        needed = f"; a true difference of {detectable} would be found four times in five" if detectable else ""
        yield f"A and B cannot be told apart on these questions{needed}."
    else:
        yield f"The average of {'A' if difference.mean > 0 else 'B'} is higher, by more than chance."
    yield _METHOD
    if groups:
        yield "The p of groups is not corrected for their number: of twenty equal groups, one will seem to differ."


_NARROW: Final = {
    "only A / only B right": "only\nA / B\nright",
    "McNemar p": "McNe-\nmar p",
    "detectable": "least\nfound",
}
_SHOWN = 200
"""Characters of a question, a reply or a setting."""


def print_comparison(found: RunComparison, *, flips: int = 10) -> None:
    """Print protocols first, then differences, then the first of the questions on which only one run is right."""
    console = Console()
    for line in left_out(found):
        _say(console, f"WARNING: {line}")
    for task, comparison in found.tasks.items():
        console.rule(Text(plain(task)))
        _say(console, f"A: {comparison.first.path}")
        _say(console, f"B: {comparison.second.path}")
        _say(console, protocol_line(comparison))
        if comparison.protocol:
            console.print(_table(PROTOCOL, protocol_rows(comparison)))
        for warning in warnings_of(comparison):
            _say(console, f"WARNING: {warning}")
        if comparison.averages:
            console.print(_numbers(AVERAGES, map(average_row, comparison.averages)))
        for line in conclusion(comparison):
            _say(console, line)
        if comparison.flips[:flips]:
            console.print(_table(FLIPS, comparison.flips[:flips]))
        if len(comparison.flips) > flips:
            _say(
                console, f"{counted(len(comparison.flips), 'question')} on which only one is right; --output writes all"
            )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(*header)
    for row in rows:
        table.add_row(*(Text(plain(cell, _SHOWN)) for cell in row))
    return table


def _numbers(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table whose first column gives way, so that no number is ever cut."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(header[0], overflow="fold", min_width=9)
    for name in header[1:]:
        table.add_column(_NARROW.get(name, name), justify="right", no_wrap=True)
    for first, *numbers in rows:
        table.add_row(Text(plain(first, _SHOWN)), *(Text(_narrow(number)) for number in numbers))
    return table


def _narrow(number: str) -> str:
    return number.replace(", ", ",").replace("< 0.", "<.")


def _say(console: Console, text: str) -> None:
    console.print(Text(plain(text)), soft_wrap=True)


def write_comparison(found: RunComparison, output: Path) -> list[Path]:
    """Write everything, all questions on which only one run is right included; return the files.

    Raises:
        SetupError: the folder cannot be written to.
    """
    contents = {
        "comparison.md": _markdown(found),
        "differences.csv": as_csv(_differences(found)),
        "flips.csv": as_csv(_flips(found)),
    }
    return write_texts(contents, output)


def _markdown(found: RunComparison) -> str:
    parts = ["# Comparison", ""]
    parts += [f"WARNING: {escaped(line)}\n" for line in left_out(found)]
    for task, one in found.tasks.items():
        parts += [f"## {escaped(task)}", ""]
        parts += [f"- A: {escaped(one.first.path)}", f"- B: {escaped(one.second.path)}"]
        parts += [f"- WARNING: {escaped(warning, LONGEST)}" for warning in warnings_of(one)]
        parts += ["", protocol_line(one), ""]
        if one.protocol:
            parts += [*_lines(PROTOCOL, protocol_rows(one)), ""]
        if one.averages:
            parts += [*_lines(AVERAGES, map(average_row, one.averages)), ""]
        parts += [*conclusion(one), ""]
        if one.flips:
            parts += ["Questions on which only one is right:", "", *_lines(FLIPS, one.flips), ""]
    return "\n".join(parts)


def _lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return lines_of(header, ([escaped(cell, LONGEST) for cell in row] for row in rows))


def _differences(found: RunComparison) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for task, comparison in found.tasks.items():
        for one in comparison.averages:
            row = {"task": task, **one._asdict()}
            difference, test = row.pop("difference"), row.pop("mcnemar")
            row |= {name: getattr(difference, name, None) for name in ("mean", "low", "high", "p", "clusters", "error")}
            row |= {f"mcnemar_{name}": getattr(test, name, None) for name in ("first_only", "second_only", "p")}
            rows.append(row)
    return pd.DataFrame(rows)


def _flips(found: RunComparison) -> pd.DataFrame:
    rows = [
        {"task": task} | {name: plain(value, LONGEST) for name, value in flip._asdict().items()}
        for task, comparison in found.tasks.items()
        for flip in comparison.flips
    ]
    return pd.DataFrame(rows, columns=["task", *Flip._fields])
