"""Two runs, task by task: where their protocols differ, what their scores differ by, and where they disagree.

    qsv-eval compare A B

Only questions count that both runs have a score for; the others are counted and named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from qsv_eval.leaderboard.compare.averages import MetricComparison, compare_averages, is_ours, rule_of
from qsv_eval.leaderboard.compare.pairing import Flip, Pairing, flips, pair_up
from qsv_eval.leaderboard.samples import SamplesFile, find_samples, read_samples
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.protocol import differences

__all__ = ["RunComparison", "TaskComparison", "compare_runs", "compare_task"]


@dataclass(frozen=True)
class TaskComparison:
    """One task of both runs."""

    first: SamplesFile
    second: SamplesFile
    protocol: Mapping[str, tuple[Any, Any]] | None
    """Differences between the protocols; None where one of the files has no protocol."""
    pairing: Pairing
    clusters_known: bool
    """Whether it is known which questions share a video; else each stands for itself."""
    averages: Sequence[MetricComparison]
    """The headline first, if there is anything to compare."""
    flips: Sequence[Flip]


class RunComparison(NamedTuple):
    """All of two runs."""

    tasks: dict[str, TaskComparison]
    """Comparison of each task that both runs have."""
    only_first: Sequence[str]
    """Tasks that only the first has."""
    only_second: Sequence[str]
    """Tasks that only the second has."""
    failed: Mapping[str, str]
    """Why a task that both have could not be compared."""


def compare_runs(first: Path, second: Path) -> RunComparison:
    """Compare each task that both have, by its newest samples below a folder, or those of a results file.

    A damaged file costs its task, where there are others.

    Raises:
        SetupError: one has no samples, the two have no task in common, or none of those could be compared.
    """
    one, other = find_samples(first), find_samples(second)
    shared = sorted(one.keys() & other.keys())
    if not shared:
        raise SetupError(f"{first} has {', '.join(one)}; {second} has {', '.join(other)}: no task in common to compare")
    tasks, failed = dict[str, TaskComparison](), dict[str, str]()
    for task in shared:
        try:
            tasks[task] = compare_task(one[task], other[task])
        except SetupError as error:
            failed[task] = str(error)
    if not tasks:
        raise SetupError("; ".join(failed.values()))
    return RunComparison(tasks, sorted(one.keys() - other.keys()), sorted(other.keys() - one.keys()), failed)


def compare_task(first: SamplesFile, second: SamplesFile) -> TaskComparison:
    """Compare one task of two runs; SetupError where a file is damaged."""
    # What one file does not say of the task, the other may.
    cluster_key = first.cluster_key or second.cluster_key
    pairing = pair_up(*read_samples(*(file._replace(cluster_key=cluster_key) for file in (first, second))))
    known = first.protocol is not None and second.protocol is not None
    return TaskComparison(
        first=first,
        second=second,
        protocol=differences(first.protocol or {}, second.protocol or {}) if known else None,
        pairing=pairing,
        clusters_known=is_ours(first.task) or bool(cluster_key),
        averages=list(compare_averages(pairing, rule_of(first.task, pairing))),
        flips=list(flips(pairing)),
    )
