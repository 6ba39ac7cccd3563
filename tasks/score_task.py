"""From the rows of a task to its summary, with a judge where one was named: what a run and a later scoring share."""

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Final, NamedTuple

from qsv_eval.judge.exact_match import normalised, token_f1
from qsv_eval.scoring.sample_result import SampleResult, is_failure
from qsv_eval.scoring.scorers import JudgedAnswer
from qsv_eval.scoring.summary import CompactDict, TaskSummary
from qsv_eval.tasks.task import Task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qsv_eval.judge.settings import JudgeSettings

__all__ = ["TaskScore", "score_rows", "use_judge", "write_submission"]

_judge: "JudgeSettings | None" = None
_MODEL: Final = "QSV_JUDGE_MODEL"


@contextmanager
def use_judge(settings: "JudgeSettings | None") -> "Iterator[None]":
    """Name the judge of what is summed up meanwhile: lmms-eval has no way to hand it through."""
    global _judge
    before, _judge = _judge, settings
    try:
        yield
    finally:
        _judge = before


def _named_judge() -> "JudgeSettings | None":
    """Return the judge that was named, by the environment where lmms-eval runs by itself."""
    if _judge is not None or not os.environ.get(_MODEL):
        return _judge
    from qsv_eval.judge.settings import JudgeSettings

    budget = os.environ.get("QSV_JUDGE_BUDGET")
    return JudgeSettings.from_environment(model=os.environ[_MODEL], budget_tokens=budget)


class TaskScore(NamedTuple):
    """A task's rows after scoring."""

    rows: Sequence[SampleResult]
    summary: TaskSummary


def score_rows(task: Task, rows: Iterable[SampleResult]) -> TaskScore:
    """Sum rows up that the task's scorer has read; those that wait for a judge are judged first, if one is named."""
    found = list(rows)
    if not isinstance(task.scorer, JudgedAnswer):
        return TaskScore(found, task.summarise(found))
    judge, spent = _named_judge(), None
    if judge is not None:
        from qsv_eval.scoring.apply_judge import judge_samples

        found, accounting = judge_samples(found, judge)
        spent = {"model": judge.model, "url": judge.url, **asdict(accounting)}
    summary = task.summarise(found, None if judge is None else judge.model)
    if spent:
        summary["judge"] = CompactDict(spent, f"{spent['model']}: {spent['calls']} calls, {spent['failed']} failed")
    summary["exact"] = _exact(found)
    return TaskScore(found, summary)


def write_submission(task: Task, rows: Sequence[SampleResult], folder: Path, stamp: str) -> Path | None:
    """Write what the authors' server wants; None for a task that has no use for it."""
    if task.submission is None:
        return None
    file = folder / f"{stamp}_submission_{task.name}.json"
    file.write_text(json.dumps(task.submission(rows), indent=1, ensure_ascii=False) + "\n", "utf-8")
    return file


def _exact(rows: Sequence[SampleResult]) -> CompactDict:
    """Return how many replies are the annotated words, and how far the others share them: no judge, no headline."""
    said = [row for row in rows if row["answer"] and not is_failure(row)]
    matches = [100.0 * (normalised(row["reply"]) == normalised(row["answer"])) for row in said]
    shared = [100.0 * token_f1(row["reply"], row["answer"]) for row in said]
    means = {"n": len(said), "exact_match": fmean(matches), "token_f1": fmean(shared)} if said else {"n": 0}
    return CompactDict(means, f"{means['exact_match']:.1f} % exact" if said else "none")
