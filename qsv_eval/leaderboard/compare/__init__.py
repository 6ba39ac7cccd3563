"""Comparison of two runs, question by question: `compare.py` compares, `report.py` prints and writes the result."""

from qsv_eval.leaderboard.compare.averages import MetricComparison
from qsv_eval.leaderboard.compare.compare import RunComparison, TaskComparison, compare_runs, compare_task
from qsv_eval.leaderboard.compare.pairing import Flip

__all__ = ["Flip", "MetricComparison", "RunComparison", "TaskComparison", "compare_runs", "compare_task"]
