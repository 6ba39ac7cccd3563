"""Two runs, question by question: where their protocols differ, what their scores differ by, and where they disagree.

Only questions count that both runs have a score for. The difference is that of the official average, with videos (or
images) resampled; groups are compared by the plain mean of their questions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from qsv_eval.leaderboard.samples import SamplesFile, find_samples, read_samples
from qsv_eval.leaderboard.stats import Difference, Floats, McNemar, difference_of_averages, mcnemar, minimum_detectable
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.protocol import differences
from qsv_eval.scoring.averages import POOLED, Average, Units
from qsv_eval.scoring.outcome import Outcome
from qsv_eval.tasks import task_files
from qsv_eval.tasks.registry import task_named

Pair = tuple[pd.DataFrame, pd.DataFrame]
"""The samples of both runs, the same questions in the same order."""

__all__ = ["Compared", "Flip", "TaskComparison", "compare_runs", "compare_task"]

_FOR_GROUPS: Final = 2_000
"""Resamples of a group; the headline gets ten thousand."""
_PLAIN: Final = Average("the plain mean", POOLED.units, lambda sums: POOLED.value(sums) / 100, scale="as stored")


class Compared(NamedTuple):
    """One average of both runs, on the same questions."""

    field: str
    """Empty for the headline."""
    group: str
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
    """Of the averages and all that is derived from them."""


class Flip(NamedTuple):
    """A question on which only one of the two is right."""

    id: str
    right: str
    """`A` or `B`."""
    question: str
    answer: str
    first_reply: str
    second_reply: str


@dataclass(frozen=True)
class TaskComparison:
    """One task of both runs."""

    first: SamplesFile
    second: SamplesFile
    protocol: Mapping[str, tuple[Any, Any]] | None
    """Where the protocols differ; None where one of the files has none."""
    only_first: Sequence[str]
    """Ids that only the first has."""
    only_second: Sequence[str]
    changed: Sequence[str]
    """Ids that both have, with another question or answer."""
    unscored: int
    """Shared questions without a score in at least one run."""
    clusters_known: bool
    """Whether it is known which questions share a video; else each stands for itself."""
    averages: Sequence[Compared]
    """The headline first, if there is anything to compare."""
    flips: Sequence[Flip]


def compare_runs(first: Path, second: Path) -> dict[str, TaskComparison]:
    """Compare each task that both folders have, by its newest samples.

    Raises:
        SetupError: a folder has no samples, or the two have no task in common.
    """
    one, other = find_samples(first), find_samples(second)
    shared = sorted(one.keys() & other.keys())
    if not shared:
        raise SetupError(f"{first} has {', '.join(one)}; {second} has {', '.join(other)}: no task in common to compare")
    return {task: compare_task(one[task], other[task]) for task in shared}


def compare_task(first: SamplesFile, second: SamplesFile) -> TaskComparison:
    """Compare one task of two runs."""
    one, other = (read_samples(file).set_index("id") for file in (first, second))
    ids = sorted(set(one.index) & set(other.index))
    shared_one, shared_other = one.loc[ids], other.loc[ids]
    changed = (shared_one["question"] != shared_other["question"]) | (shared_one["answer"] != shared_other["answer"])
    comparable = shared_one["score"].notna() & shared_other["score"].notna() & ~changed
    pair = shared_one[comparable], shared_other[comparable]
    average, fields = _rule(first.task, pair)
    right = tuple(map(_right, pair))
    return TaskComparison(
        first=first,
        second=second,
        protocol=differences(first.protocol, second.protocol) if first.protocol and second.protocol else None,
        only_first=sorted(set(one.index) - set(ids)),
        only_second=sorted(set(other.index) - set(ids)),
        changed=list(shared_one.index[changed]),
        unscored=int((~comparable & ~changed).sum()),
        clusters_known=_is_ours(first.task) or bool(first.cluster_key),
        averages=list(_averages(pair, right, average, fields)),
        flips=list(_flips(pair, right)),
    )


def _is_ours(task: str) -> bool:
    return task.partition("@")[0] in task_files()


def _rule(task: str, pair: Pair) -> tuple[Average, Sequence[str]]:
    """Return how a task is averaged, and what it is broken down by."""
    rows = [row for frame in pair for row in frame["row"]]
    if _is_ours(task) and all("verdicts" in row for row in rows):
        known = task_named(task)
        return known.average, known.fields
    within = all(0 <= row["score"] <= 1 for row in rows)
    return (POOLED if within else _PLAIN), ()


def _right(samples: pd.DataFrame) -> "pd.Series[bool] | None":
    """Tell which questions are right: by the outcome, or by a score of at least a half where scores end at one."""
    if samples["outcome"].ne("").all():
        return samples["outcome"] == Outcome.CORRECT.value
    return samples["score"] >= 0.5 if samples["score"].between(0, 1).all() else None


def _averages(
    pair: Pair, right: Sequence["pd.Series[bool] | None"], average: Average, fields: Sequence[str]
) -> Iterator[Compared]:
    if not len(pair[0]):
        return
    everything = np.arange(len(pair[0]))
    yield _compared(pair, right, average, everything, resamples=10_000)
    within = average if average.is_judged else POOLED
    for field in fields:
        places: dict[str, list[int]] = {}
        for place, row in enumerate(pair[0]["row"]):
            value = row["groups"].get(field, "")
            for name in [value] if isinstance(value, str) else value:
                places.setdefault(name, []).append(place)
        for group in sorted(places):
            found = _compared(pair, right, within, np.array(places[group]), resamples=_FOR_GROUPS)
            yield found._replace(field=field, group=group)


def _compared(
    pair: Pair, right: Sequence["pd.Series[bool] | None"], average: Average, places: np.ndarray, *, resamples: int
) -> Compared:
    rows = [[frame["row"].iloc[place] for place in places] for frame in pair]
    first, second = (average.of(own) for own in rows)
    sums = _by_cluster(*(average.units(own, None) for own in rows))
    difference = None
    if first is not None and second is not None and len(sums[0]) > 1:
        difference = difference_of_averages(*sums, average.value, questions=len(places), resamples=resamples)
    one, other = right
    test = None if one is None or other is None else mcnemar(list(one.iloc[places]), list(other.iloc[places]))
    detectable = minimum_detectable(difference.error, difference.clusters) if difference else None
    return Compared("", "", len(places), first, second, difference, test, detectable, average.scale)


def _by_cluster(first: Units, second: Units) -> tuple[Floats, Floats]:
    """Add up the units of each cluster, in the same order for both."""
    place = {name: number for number, name in enumerate(sorted({*first.clusters, *second.clusters}))}

    def summed(units: Units) -> Floats:
        sums = np.zeros((len(place), units.sums.shape[1]))
        np.add.at(sums, [place[name] for name in units.clusters], units.sums)
        return sums

    return summed(first), summed(second)


def _flips(pair: Pair, right: Sequence["pd.Series[bool] | None"]) -> Iterator[Flip]:
    one, other = right
    if one is None or other is None:
        return
    for place in np.flatnonzero(one.to_numpy() != other.to_numpy()):
        first, second = pair[0].iloc[place], pair[1].iloc[place]
        side = "A" if one.iloc[place] else "B"
        yield Flip(str(first.name), side, first["question"], first["answer"], first["reply"], second["reply"])
