"""Official averages of benchmarks, with jackknife intervals.

Every average is a function of sums over units (a sample, or a pair where a benchmark scores pairs). Leaving out one
video at a time is then one subtraction, which gives the interval.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from qsv_eval.judge.rubrics import rubric_named

__all__ = ["POOLED", "Average", "Interval", "circular", "f1_by", "mean_by", "mean_of_verdicts", "points"]

Floats = NDArray[np.float64]
ScoredRow = Mapping[str, Any]
"""A row, or as much of it as an average needs."""


class AverageUnits(NamedTuple):
    """The units of an average: cluster and sums of each."""

    clusters: list[str]
    sums: Floats
    """(U, D): each unit's part of the sums."""


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Average:
    """One way to average."""

    rule: str
    """Description for the protocol."""
    units: Callable[[Sequence[ScoredRow], float | None], AverageUnits]
    """Map rows to units; a row without a score counts as the given value, or is skipped where that is None."""
    value: Callable[[Floats], Floats]
    """Map sums (…, D) to values (…); NaN where there is nothing to average."""
    scale: str = "percent"
    ends: tuple[float, float] = (0.0, 100.0)
    """Lowest and highest possible value."""
    is_judged: bool = False
    """Whether it averages a judge's scores, on the judge's own scale."""

    def of(self, rows: Sequence[ScoredRow], missing: float | None = None) -> float | None:
        """Return the average of rows, None where there is nothing to average."""
        if not rows:
            return None
        value = float(self.value(self.units(rows, missing).sums.sum(0)))
        return None if np.isnan(value) else value

    def interval(self, rows: Sequence[ScoredRow]) -> Interval | None:
        """Return the 95 % interval that leaving out each cluster in turn gives (jackknife, Student's t).

        None where it cannot be told: with fewer than two clusters, or where all of them score the same, as nothing then
        says how much others would differ.
        """
        if not rows:
            return None
        units = self.units(rows, None)
        parts = _by_cluster(units)
        count = len(parts)
        if count < 2:
            return None
        total = units.sums.sum(0)
        without = self.value(total - parts)
        if np.isnan(without).any():
            return None
        deviation = np.sqrt((count - 1) / count * np.square(without - without.mean()).sum())
        # A quantile of Student's t; importing all of scipy.stats for it takes half a second.
        half = float(stdtrit(count - 1, 0.975) * deviation)
        if half <= _ROUNDING * (self.ends[1] - self.ends[0]):
            return None
        value = float(self.value(total))
        return Interval(max(value - half, self.ends[0]), min(value + half, self.ends[1]))


_ROUNDING: Final = 1e-9
"""Half widths below this fraction of the scale count as zero."""


def _by_cluster(units: AverageUnits) -> Floats:
    """Add up the units of each cluster: (C, D)."""
    _, number = np.unique(units.clusters, return_inverse=True)
    sums = np.zeros((number.max(initial=-1) + 1, units.sums.shape[1]))
    np.add.at(sums, number, units.sums)
    return sums


def _score(row: ScoredRow, missing: float | None) -> float | None:
    score = row["score"]
    return missing if score is None else float(score)


def _ratio(over: Floats, under: Floats) -> Floats:
    """Divide, NaN where there is nothing to divide by."""
    filled: Floats = np.full(np.broadcast(over, under).shape, np.nan)
    return np.divide(over, under, out=filled, where=under > 0)


def _mean_of_filled(values: Floats) -> Floats:
    """Average over the last axis what is not NaN."""
    there = ~np.isnan(values)
    return _ratio(np.where(there, values, 0.0).sum(-1), there.sum(-1).astype(float))


# ---- over questions


def _pooled(rows: Sequence[ScoredRow], missing: float | None) -> AverageUnits:
    scored = [(row, score) for row in rows if (score := _score(row, missing)) is not None]
    sums = np.array([[score, 1.0] for _, score in scored]).reshape(-1, 2)
    return AverageUnits([row["cluster"] for row, _ in scored], sums)


POOLED: Final = Average(
    "the mean over all scored questions", _pooled, lambda sums: 100 * _ratio(sums[..., 0], sums[..., 1])
)


def mean_by(field: str) -> Average:
    """Average the accuracies of a field's groups, each weighing the same (macro)."""

    def units(rows: Sequence[ScoredRow], missing: float | None) -> AverageUnits:
        names = sorted({row["groups"][field] for row in rows})
        place = {name: 2 * number for number, name in enumerate(names)}
        sums = np.zeros((len(rows), 2 * len(names)))
        for line, row in zip(sums, rows, strict=True):
            if (score := _score(row, missing)) is not None:
                at = place[row["groups"][field]]
                line[at : at + 2] = score, 1.0
        return AverageUnits([row["cluster"] for row in rows], sums)

    def value(sums: Floats) -> Floats:
        return 100 * _mean_of_filled(_ratio(sums[..., 0::2], sums[..., 1::2]))

    return Average(f"the mean of the accuracies of each {field}", units, value)


def mean_of_verdicts(protocols: Sequence[str]) -> Average:
    """Average a judge's scores by each protocol, and then the protocols, each weighing the same."""
    scale = rubric_named(protocols[0])
    low, high = scale.lowest, scale.highest

    def units(rows: Sequence[ScoredRow], missing: float | None) -> AverageUnits:
        sums = np.zeros((len(rows), 2 * len(protocols)))
        for line, row in zip(sums, rows, strict=True):
            found = dict(row["verdicts"])
            if not found and missing is not None:
                found = dict.fromkeys(row["wanted"], low + missing * (high - low))
            for place, name in enumerate(protocols):
                if name in found:
                    line[2 * place : 2 * place + 2] = found[name], 1.0
        return AverageUnits([row["cluster"] for row in rows], sums)

    def value(sums: Floats) -> Floats:
        return _mean_of_filled(_ratio(sums[..., 0::2], sums[..., 1::2]))

    words = f"the mean of the mean scores by {', '.join(protocols)}"
    return Average(words, units, value, scale=f"{low:g} to {high:g}", ends=(float(low), float(high)), is_judged=True)


# ---- over groups of questions that count as one


def circular(note: str) -> Average:
    """Count a question as right where it is right in every order of its options (MMBench's CircularEval)."""

    def units(rows: Sequence[ScoredRow], missing: float | None) -> AverageUnits:
        clusters, sums = [], []
        for members in _together(rows, lambda row: row["notes"][note]):
            scores = [_score(row, missing) for row in members]
            if None not in scores:
                clusters.append(members[0]["cluster"])
                sums.append([float(all(score == 1 for score in scores)), 1.0])
        return AverageUnits(clusters, np.array(sums).reshape(-1, 2))

    return Average(
        "the share of questions that are right in every order of their options",
        units,
        lambda sums: 100 * _ratio(sums[..., 0], sums[..., 1]),
    )


def points(field: str, groups: Sequence[str]) -> Average:
    """Add up, over groups, the accuracy and the share of images on which both questions are right (MME)."""
    place = {name: 4 * number for number, name in enumerate(groups)}

    def units(rows: Sequence[ScoredRow], missing: float | None) -> AverageUnits:
        within = [row for row in rows if row["groups"][field] in place]
        pairs = _together(within, lambda row: (row["groups"][field], row["cluster"]))
        sums = np.zeros((len(pairs), 4 * len(place)))
        for line, members in zip(sums, pairs, strict=True):
            scores = [score for row in members if (score := _score(row, missing)) is not None]
            whole = len(scores) == len(members)
            at = place[members[0]["groups"][field]]
            both = float(all(score == 1 for score in scores))
            line[at : at + 4] = sum(scores), len(scores), both * whole, float(whole)
        return AverageUnits([members[0]["cluster"] for members in pairs], sums)

    def value(sums: Floats) -> Floats:
        single = _ratio(sums[..., 0::4], sums[..., 1::4])
        both = _ratio(sums[..., 2::4], sums[..., 3::4])
        nothing = np.isnan(single).all(-1)
        return np.where(nothing, np.nan, 100 * (np.nansum(single, -1) + np.nansum(both, -1)))

    return Average(
        f"per {field} the accuracy and the share of images with both questions right, added up over {len(groups)}",
        units,
        value,
        scale=f"0 to {200 * len(groups)}",
        ends=(0.0, 200.0 * len(groups)),
    )


def f1_by(field: str, positive: str) -> Average:
    """Average over a field's groups the F1 score for the answer `positive` (POPE)."""

    def units(rows: Sequence[ScoredRow], missing: float | None) -> AverageUnits:
        names = sorted({row["groups"][field] for row in rows})
        place = {name: 3 * number for number, name in enumerate(names)}
        sums = np.zeros((len(rows), 3 * len(names)))
        for line, row in zip(sums, rows, strict=True):
            score = _score(row, missing)
            if score is not None:
                right, wanted = score == 1, row["answer"] == positive
                # A reply that says neither is wrong: a miss, or a false alarm.
                at = place[row["groups"][field]]
                line[at : at + 3] = right and wanted, not right and not wanted, not right and wanted
        return AverageUnits([row["cluster"] for row in rows], sums)

    def value(sums: Floats) -> Floats:
        hits, alarms, misses = (sums[..., place::3] for place in range(3))
        return 100 * _mean_of_filled(_ratio(2 * hits, 2 * hits + alarms + misses))

    return Average(f"the mean of the F1 scores for {positive!r} of each {field}", units, value)


def _together(rows: Iterable[ScoredRow], key: Callable[[ScoredRow], Hashable]) -> list[list[ScoredRow]]:
    groups: dict[Hashable, list[ScoredRow]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return list(groups.values())
