"""Averages of two runs on the same questions, and the statistical significance of their difference.

The headline compares official averages; groups compare plain means of questions, or of a judge's scores. Where several
questions count as one, they count only if both runs have a score for each of them, as in a run's official average.
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

__all__ = ["AveragingRule", "MetricComparison", "averaging_rule", "compare_averages", "is_ours"]

_HEADLINE_RESAMPLES: Final = 10_000
_GROUP_RESAMPLES: Final = 2_000
_PLAIN: Final = replace(POOLED, value=lambda sums: POOLED.value(sums) / 100, scale="as stored")


class MetricComparison(NamedTuple):
    """One average of both runs on the same questions; the fields are columns of `differences.csv`."""

    field: str
    """Field that questions are grouped by; empty for the headline."""
    group: str
    """Name of the group; for the headline, of the average."""
    n: int
    first: float | None
    second: float | None
    difference: Difference | None
    """First minus second; None with fewer than two clusters, or if an average has no value."""
    mcnemar: McNemar | None
    """None if scores are not of right and wrong."""
    detectable: float | None
    """Minimum detectable difference: the smallest true difference that is found with 80 % power."""
    scale: str
    """Scale of the averages and of all values derived from them."""


class AveragingRule(NamedTuple):
    """Average of a task, and the fields of its breakdowns."""

    name: str
    average: Average
    fields: Sequence[str]


def is_ours(task: str) -> bool:
    """Return whether a task is one of this package, or a variant of one."""
    return plain_name(task) in task_files()


def averaging_rule(task: str, pairing: Pairing) -> AveragingRule:
    """Return the official average for tasks of this package, and a plain mean for lmms-eval's own."""
    rows = [*pairing.first.rows, *pairing.second.rows]
    if is_ours(task) and all("verdicts" in row for row in [*rows, *pairing.unscored_rows]):
        known = task_named(task)
        return AveragingRule("official average", known.average, known.fields)
    is_fraction = all(0 <= row["score"] <= 1 for row in rows)
    return AveragingRule("mean of questions", POOLED if is_fraction else _PLAIN, ())


def compare_averages(pairing: Pairing, rule: AveragingRule) -> Iterator[MetricComparison]:
    """Yield the headline, then each group of each field; nothing if there are no questions."""
    count = len(pairing.first.rows)
    if not count:
        return
    everything = np.arange(count)
    headline = _compare(pairing, rule.average, everything, pairing.unscored_rows, resamples=_HEADLINE_RESAMPLES)
    yield headline._replace(group=rule.name)
    group_average = rule.average if rule.average.is_judged else POOLED
    for field in rule.fields:
        groups = _groups(pairing.first, field)
        for group in sorted(groups):
            comparison = _compare(pairing, group_average, np.array(groups[group]), resamples=_GROUP_RESAMPLES)
            yield comparison._replace(field=field, group=group)


def _groups(side: Side, field: str) -> dict[str, list[int]]:
    """Return the indices of the questions of each group; a question may belong to several."""
    groups: dict[str, list[int]] = {}
    for index, row in enumerate(side.rows):
        value = row["groups"].get(field, "")
        for name in [value] if isinstance(value, str) else value:
            groups.setdefault(name, []).append(index)
    return groups


def _compare(
    pairing: Pairing,
    average: Average,
    indices: NDArray[np.intp],
    unscored_rows: Sequence[dict[str, Any]] = (),
    *,
    resamples: int,
) -> MetricComparison:
    sides = pairing.first, pairing.second
    scored_rows: list[list[dict[str, Any]]] = [[side.rows[index] for index in indices] for side in sides]
    clusters = {row["cluster"] for rows in scored_rows for row in rows}
    all_rows = [[*rows, *unscored_rows] for rows in scored_rows]
    first, second = (average.of(rows) for rows in all_rows)
    sums = _sums_by_cluster(*(average.units(rows, None) for rows in all_rows), scored=clusters)
    difference = detectable = test = None
    if first is not None and second is not None and len(sums[0]) > 1:
        difference = difference_of_averages(*sums, average.value, questions=len(indices), resamples=resamples)
        detectable = minimum_detectable(difference.error, difference.clusters)
    if pairing.first.right is not None and pairing.second.right is not None:
        test = mcnemar(pairing.first.right[indices].tolist(), pairing.second.right[indices].tolist())
    return MetricComparison("", "", len(indices), first, second, difference, test, detectable, average.scale)


def _sums_by_cluster(first: AverageUnits, second: AverageUnits, *, scored: Set[str]) -> tuple[Floats, Floats]:
    """Return the sums of the units of each cluster with a score, clusters in the same order for both."""
    row_of = {name: row for row, name in enumerate(sorted({*first.clusters, *second.clusters} & scored))}

    def summed(units: AverageUnits) -> Floats:
        sums = np.zeros((len(row_of), units.sums.shape[1]))
        kept = [index for index, name in enumerate(units.clusters) if name in row_of]
        np.add.at(sums, [row_of[units.clusters[index]] for index in kept], units.sums[kept])
        return sums

    return summed(first), summed(second)
