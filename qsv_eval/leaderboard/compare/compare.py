"""Comparison of two runs, task by task: protocols, averages, and questions on which only one run is right.

    qsv-eval compare A B

Only questions that both runs have a score for are compared; the others are counted and listed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from qsv_eval.leaderboard.compare.averages import MetricComparison, averaging_rule, compare_averages, is_ours
from qsv_eval.leaderboard.compare.pairing import Flip, Pairing, flips, pair_up
from qsv_eval.leaderboard.samples import SamplesFile, find_samples, read_samples
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.protocol import differences

__all__ = ["RunComparison", "TaskComparison", "compare_runs", "compare_task"]


@dataclass(frozen=True)
class TaskComparison:
    """Comparison of one task."""

    first: SamplesFile
    second: SamplesFile
    protocol: Mapping[str, tuple[Any, Any]] | None
    """Fields in which the protocols differ, with both values; None if a protocol is unknown."""
    pairing: Pairing
    clusters_known: bool
    """Whether the questions that share a video are known; if not, each question is a cluster."""
    averages: Sequence[MetricComparison]
    """Headline, then groups; empty if there are no questions to compare."""
    flips: Sequence[Flip]


class RunComparison(NamedTuple):
    """Comparison of all tasks of two runs."""

    tasks: dict[str, TaskComparison]
    only_first: Sequence[str]
    """Tasks that only the first run has."""
    only_second: Sequence[str]
    """Tasks that only the second run has."""
    failed: Mapping[str, str]
    """Tasks of both runs that could not be compared, with the reason."""


def compare_runs(first: Path, second: Path) -> RunComparison:
    """Compare each task that both runs have, by the newest samples below a folder, or by those of a results file.

    A damaged file only costs its task if there are others.

    Raises:
        SetupError: a run has no samples, the runs have no task in common, or no task could be compared.
    """
    first_files, second_files = find_samples(first), find_samples(second)
    shared = sorted(first_files.keys() & second_files.keys())
    if not shared:
        raise SetupError(
            f"the runs have no task in common: {first} has {', '.join(first_files)}; {second} has "
            f"{', '.join(second_files)}"
        )
    tasks, failed = dict[str, TaskComparison](), dict[str, str]()
    for task in shared:
        try:
            tasks[task] = compare_task(first_files[task], second_files[task])
        except SetupError as error:
            failed[task] = str(error)
    if not tasks:
        raise SetupError("; ".join(failed.values()))
    only_first, only_second = first_files.keys() - second_files.keys(), second_files.keys() - first_files.keys()
    return RunComparison(tasks, sorted(only_first), sorted(only_second), failed)


def compare_task(first: SamplesFile, second: SamplesFile) -> TaskComparison:
    """Compare one task of two runs; SetupError if a file is damaged."""
    cluster_key = first.cluster_key or second.cluster_key  # either file may lack it
    pairing = pair_up(*read_samples(*(file._replace(cluster_key=cluster_key) for file in (first, second))))
    has_protocols = first.protocol is not None and second.protocol is not None
    return TaskComparison(
        first=first,
        second=second,
        protocol=differences(first.protocol or {}, second.protocol or {}) if has_protocols else None,
        pairing=pairing,
        clusters_known=is_ours(first.task) or bool(cluster_key),
        averages=list(compare_averages(pairing, averaging_rule(first.task, pairing))),
        flips=list(flips(pairing)),
    )
