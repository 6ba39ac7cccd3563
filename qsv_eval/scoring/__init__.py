"""Scoring of replies: letters and numbers out of replies, outcomes out of letters, averages out of outcomes.

Shared by all benchmarks, independent of lmms-eval and light to import:

    extract_letter("The answer is (C).", "ABCD", ["red", "blue", "green", "grey"]).answer    # "C"
"""

from qsv_eval.scoring.extract import extract_letter
from qsv_eval.scoring.short_answer import exact_match, extract_number
from qsv_eval.scoring.yesno import extract_yes_no

__all__ = ["exact_match", "extract_letter", "extract_number", "extract_yes_no"]
