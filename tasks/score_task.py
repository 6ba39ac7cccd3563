"""Summary of a task's scored rows, judged if a judge is set; shared by `qsv-eval run` and `qsv-eval score`."""

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
    """Set the judge for `score_rows`, to which lmms-eval cannot pass it."""
    global _judge
    previous, _judge = _judge, settings
    try:
        yield
    finally:
        _judge = previous


def _current_judge() -> "JudgeSettings | None":
    """Return the judge that `use_judge` set, or else the one of the environment, for lmms-eval alone."""
    if _judge is not None or not os.environ.get(_MODEL):
        return _judge
    from qsv_eval.judge.settings import JudgeSettings

    budget = os.environ.get("QSV_JUDGE_BUDGET")
    return JudgeSettings.from_environment(model=os.environ[_MODEL], budget_tokens=budget)


class TaskScore(NamedTuple):
    """Rows of a task after scoring, and their summary."""

    rows: Sequence[SampleResult]
    summary: TaskSummary


def score_rows(task: Task, rows: Iterable[SampleResult]) -> TaskScore:
    """Summarise scored rows; rows that need a judge are judged first if one is set."""
    results = list(rows)
    if not isinstance(task.scorer, JudgedAnswer):
        return TaskScore(results, task.summarise(results))
    judge, usage = _current_judge(), None
    if judge is not None:
        from qsv_eval.scoring.apply_judge import judge_samples

        results, accounting = judge_samples(results, judge)
        usage = {"model": judge.model, "url": judge.url, **asdict(accounting)}
    summary = task.summarise(results, None if judge is None else judge.model)
    if usage:
        summary["judge"] = CompactDict(usage, f"{usage['model']}: {usage['calls']} calls, {usage['failed']} failed")
    summary["exact"] = _exact(results)
    return TaskScore(results, summary)


def write_submission(task: Task, rows: Sequence[SampleResult], folder: Path, stamp: str) -> Path | None:
    """Write the file for the authors' evaluation server; None for a task without one."""
    if task.submission is None:
        return None
    file = folder / f"{stamp}_submission_{task.name}.json"
    file.write_text(json.dumps(task.submission(rows), indent=1, ensure_ascii=False) + "\n", "utf-8")
    return file


def _exact(rows: Sequence[SampleResult]) -> CompactDict:
    """Return exact match and token F1 of the replies with an annotated answer, which need no judge."""
    answered = [row for row in rows if row["answer"] and not is_failure(row)]
    matches = [100.0 * (normalised(row["reply"]) == normalised(row["answer"])) for row in answered]
    f1_scores = [100.0 * token_f1(row["reply"], row["answer"]) for row in answered]
    means = {"n": len(answered), "exact_match": fmean(matches), "token_f1": fmean(f1_scores)} if answered else {"n": 0}
    return CompactDict(means, f"{means['exact_match']:.1f} % exact" if answered else "none")
