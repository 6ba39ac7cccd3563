"""What a comparison of two runs says: its lines, and the rows of its tables. They are escaped where they are shown."""

import math
from collections.abc import Iterator, Sequence
from typing import Final

from qsv_eval.leaderboard.compare.averages import Compared
from qsv_eval.leaderboard.compare.tasks import RunComparison, TaskComparison
from qsv_eval.leaderboard.shown import formatted

__all__ = [
    "AVERAGES",
    "FLIPS",
    "PROTOCOL",
    "average_row",
    "conclusion",
    "left_out",
    "protocol_line",
    "protocol_rows",
    "warnings_of",
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


def average_row(one: Compared) -> Sequence[str]:
    """Return one comparison under the header `AVERAGES`."""

    def number(value: float | None) -> str:
        return "" if value is None or math.isnan(value) else formatted(value, one.scale)

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
        detectable = "" if headline.detectable is None else formatted(headline.detectable, headline.scale)
        needed = f"; a true difference of {detectable} would be found four times in five" if detectable else ""
        yield f"A and B cannot be told apart on these questions{needed}."
    else:
        yield f"The average of {'A' if difference.mean > 0 else 'B'} is higher, by more than chance."
    yield _METHOD
    if groups:
        yield "The p of groups is not corrected for their number: of twenty equal groups, one will seem to differ."
