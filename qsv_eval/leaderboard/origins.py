"""Where the numbers of a leaderboard come from: each results file with its run, its samples files and its journal."""

from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import NamedTuple

from qsv_eval.leaderboard.resultfiles import ResultsFile, find_results, mapping, runs_behind
from qsv_eval.leaderboard.samples import SamplesFile
from qsv_eval.leaderboard.usage import Usage, journal_beside, read_usage, usage_stated
from qsv_eval.model_adapters.engine.journal import Record

__all__ = ["Origin", "Rest", "origins_of"]


class Rest(NamedTuple):
    """What a run's answers rest on, as far as it is known."""

    usage: Mapping[str, Usage]
    """By task."""
    missing: Mapping[str, str]
    """Of the other tasks, why it is not known."""
    records: Mapping[tuple[str, str], Record]
    """The journal's lines on the questions that were asked for, by task and id."""


class Origin(NamedTuple):
    """A results file, and what lies beside it."""

    file: ResultsFile
    run: ResultsFile
    """The run that it is about: itself, unless it is a later scoring."""

    def samples(self, task: str) -> SamplesFile | None:
        """Return the samples of one of its tasks, None where there is no such file."""
        stamp = self.file.path.name.partition("_results")[0]
        path = self.file.path.with_name(f"{stamp}_samples_{task}.jsonl")
        if not path.is_file():
            return None
        config = mapping(mapping(self.run.content.get("configs")).get(task))
        keys = str(config.get("cluster_key") or ""), str(config.get("score_key") or "score")
        return SamplesFile(path, task, None, *keys)

    def rest(self, asked: Mapping[str, int | None], wanted: Mapping[str, Set[str]]) -> Rest:
        """Return what its answers rest on.

        Args:
            asked: how many questions of each task were asked.
            wanted: ids of the questions whose frames and cubes are to be known, by task.
        """
        journal = journal_beside(self.run.path)
        usage, records = ({}, {}) if journal is None else read_usage(journal, wanted)
        if journal is None and len(asked) == 1:
            [(task, count)] = asked.items()
            stated = usage_stated(mapping(self.run.content.get("efficiency")), count)
            usage = {} if stated is None else {task: stated}
        why = "no journal beside its results" if journal is None else "no answer to it in the journal"
        return Rest(usage, {task: why for task in asked if task not in usage}, records)


def origins_of(folders: Sequence[Path]) -> dict[str, Origin]:
    """Return all results files below folders with what lies beside them, by the names that the tables have."""
    files = find_results(folders)
    return {file.name: Origin(file, runs_behind(file, files)[0]) for file in files}
