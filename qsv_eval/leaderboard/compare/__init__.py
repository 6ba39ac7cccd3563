"""Two runs, question by question. Start with `tasks.py`; `words.py` says it, `view.py` and `files.py` show it."""

from qsv_eval.leaderboard.compare.averages import MetricComparison
from qsv_eval.leaderboard.compare.compare import RunComparison, TaskComparison, compare_runs, compare_task
from qsv_eval.leaderboard.compare.pairing import Flip

__all__ = ["Flip", "MetricComparison", "RunComparison", "TaskComparison", "compare_runs", "compare_task"]
