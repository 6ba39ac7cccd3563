"""Averages of two runs on the same questions: what they differ by, and what that is worth.

The difference is that of the official average, with videos (or images) resampled; groups are compared by the plain mean
of their questions, or of a judge's scores. Where several questions count as one, they count only if both runs have a
score for each of them, as in the official average of a run.
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qsv_eval.leaderboard.compare.pairing import Pairing, Side
from qsv_eval.leaderboard.stats import Difference, Floats, McNemar, difference_of_averages, mcnemar, minimum_detectable
from qsv_eval.model_adapters.variant_name import plain_name
from qsv_eval.scoring.averages import POOLED, Average, AverageUnits
from qsv_eval.tasks import task_files
from qsv_eval.tasks.registry import task_named

__all__ = ["AveragingRule", "MetricComparison", "compare_averages", "is_ours", "rule_of"]

_FOR_GROUPS: Final = 2_000
"""Resamples of a group; the headline gets ten thousand."""
_PLAIN: Final = replace(POOLED, value=lambda sums: POOLED.value(sums) / 100, scale="as stored")


class MetricComparison(NamedTuple):
    """One average of both runs, on the same questions."""

    field: str
    """Field by which the questions are grouped; empty for the headline."""
    group: str
    """Name of the group; of the headline, name of the average."""
    n: int
    first: float | None
    second: float | None
    difference: Difference | None
    """First minus second; None with fewer than two clusters, or where an average has no value."""
    mcnemar: McNemar | None
    """None where scores say nothing of right and wrong."""
    detectable: float | None
    """The smallest true difference that would be found with 80 % power."""
    scale: str
    """Scale of the averages and of everything derived from them."""


class AveragingRule(NamedTuple):
    """Average of a task, and the fields that it is broken down by."""

    name: str
    average: Average
    fields: Sequence[str]


def is_ours(task: str) -> bool:
    """Tell whether a task is one of ours, or a variant of it."""
    return plain_name(task) in task_files()


def rule_of(task: str, pairing: Pairing) -> AveragingRule:
    """Return how the questions are averaged: officially where the task is ours, plainly where it is lmms-eval's own."""
    rows = [*pairing.first.rows, *pairing.second.rows]
    if is_ours(task) and all("verdicts" in row for row in [*rows, *pairing.blank]):
        known = task_named(task)
        return AveragingRule("official average", known.average, known.fields)
    within = all(0 <= row["score"] <= 1 for row in rows)
    return AveragingRule("mean of questions", POOLED if within else _PLAIN, ())


def compare_averages(pairing: Pairing, rule: AveragingRule) -> Iterator[MetricComparison]:
    """Yield the headline and then each group of each field; nothing where there are no questions."""
    count = len(pairing.first.rows)
    if not count:
        return
    headline = _compared(pairing, rule.average, np.arange(count), pairing.blank, resamples=10_000)
    yield headline._replace(group=rule.name)
    within = rule.average if rule.average.is_judged else POOLED
    for field in rule.fields:
        places = _places(pairing.first, field)
        for group in sorted(places):
            found = _compared(pairing, within, np.array(places[group]), resamples=_FOR_GROUPS)
            yield found._replace(field=field, group=group)


def _places(side: Side, field: str) -> dict[str, list[int]]:
    """Return where the questions of each group are; a question may be of several."""
    places: dict[str, list[int]] = {}
    for place, row in enumerate(side.rows):
        value = row["groups"].get(field, "")
        for name in [value] if isinstance(value, str) else value:
            places.setdefault(name, []).append(place)
    return places


def _compared(
    pairing: Pairing,
    average: Average,
    places: NDArray[np.intp],
    blank: Sequence[dict[str, Any]] = (),
    *,
    resamples: int,
) -> MetricComparison:
    sides = pairing.first, pairing.second
    rows: list[list[dict[str, Any]]] = [[side.rows[place] for place in places] for side in sides]
    scored = {row["cluster"] for own in rows for row in own}
    rows = [[*own, *blank] for own in rows]
    first, second = (average.of(own) for own in rows)
    sums = _by_cluster(*(average.units(own, None) for own in rows), scored=scored)
    difference = detectable = test = None
    if first is not None and second is not None and len(sums[0]) > 1:
        difference = difference_of_averages(*sums, average.value, questions=len(places), resamples=resamples)
        detectable = minimum_detectable(difference.error, difference.clusters)
    right, other_right = (side.right for side in sides)
    if right is not None and other_right is not None:
        test = mcnemar(right[places].tolist(), other_right[places].tolist())
    return MetricComparison("", "", len(places), first, second, difference, test, detectable, average.scale)


def _by_cluster(first: AverageUnits, second: AverageUnits, *, scored: Set[str]) -> tuple[Floats, Floats]:
    """Add up the units of each cluster, in the same order for both; a cluster in which nothing is scored is none."""
    place = {name: number for number, name in enumerate(sorted({*first.clusters, *second.clusters} & scored))}

    def summed(units: AverageUnits) -> Floats:
        sums = np.zeros((len(place), units.sums.shape[1]))
        known = [number for number, name in enumerate(units.clusters) if name in place]
        np.add.at(sums, [place[units.clusters[number]] for number in known], units.sums[known])
        return sums

    return summed(first), summed(second)
