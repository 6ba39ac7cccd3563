"""Scoring: answers extracted from replies, outcomes of samples, and averages over outcomes.

This package knows nothing of lmms-eval; the hooks in `tasks/lmms_hooks.py` call it. Importing it loads no torch.
"""

from qsv_eval.scoring.extract import extract_letter
from qsv_eval.scoring.short_answer import exact_match, extract_number
from qsv_eval.scoring.yesno import extract_yes_no

__all__ = ["exact_match", "extract_letter", "extract_number", "extract_yes_no"]
