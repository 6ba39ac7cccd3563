"""Two runs, question by question. Start with `tasks.py`; `words.py` says it, `view.py` and `files.py` show it."""

from qsv_eval.leaderboard.compare.averages import Compared
from qsv_eval.leaderboard.compare.pairs import Flip
from qsv_eval.leaderboard.compare.tasks import RunComparison, TaskComparison, compare_runs, compare_task

__all__ = ["Compared", "Flip", "RunComparison", "TaskComparison", "compare_runs", "compare_task"]
