"""Where the numbers of a leaderboard come from: each results file with its run, its samples files and its journal."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from qsv_eval.leaderboard.journals import journal_beside
from qsv_eval.leaderboard.naming import table_name
from qsv_eval.leaderboard.resultfiles import ResultsFile, find_results, mapping, run_with, runs_behind
from qsv_eval.leaderboard.samplelines import SamplesFile
from qsv_eval.leaderboard.usage import Usage, usage_of

__all__ = ["Origin", "origins_of"]


class Origin(NamedTuple):
    """A results file, and what lies beside it; its tasks go by the names that the tables have."""

    file: ResultsFile
    runs: Sequence[ResultsFile]
    """The results of the run that it is about, the newest first: itself, unless it is a later scoring. A run that was
    resumed with other tasks has several, and each says something of its own tasks only."""

    def samples(self, cell: str) -> SamplesFile | None:
        """Return the samples of one of its tasks, None where there is no such file."""
        task = self._task(cell)
        if (path := self._samples_path(task)) is None:
            return None
        return SamplesFile.of(path, task, None, run_with(task, self.runs))

    def usage(self, cell: str) -> Usage | None:
        """Return what the answers to a task took, None where the run does not say it."""
        task = self._task(cell)
        return usage_of(mapping(mapping(run_with(task, self.runs).content.get("usage")).get(task)))

    @property
    def journal(self) -> Path | None:
        """The journal beside the run, None where there is none."""
        return next(filter(None, (journal_beside(run.path) for run in self.runs)), None)

    def _task(self, cell: str) -> str:
        """Return the name that a task has in the files."""
        return next((task for task in self.file.content["results"] if table_name(task) == cell), cell)

    def _samples_path(self, task: str) -> Path | None:
        stamp = self.file.path.name.partition("_results")[0]
        try:
            path = self.file.path.with_name(f"{stamp}_samples_{task}.jsonl")
            return path if path.is_file() else None
        except (OSError, ValueError):
            # No file can be called so: a task's name may have a slash, or be too long.
            return None


def origins_of(folders: Sequence[Path]) -> dict[str, Origin]:
    """Return all results files below folders with what lies beside them, by the names that the tables have."""
    files = find_results(folders)
    return {table_name(file.name): Origin(file, runs_behind(file, files)) for file in files}
