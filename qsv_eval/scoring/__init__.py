"""Scoring of replies: letters and numbers out of replies, outcomes out of letters, averages out of outcomes.

The task files under `tasks/` name the functions of `videomme.py` and `demo.py`; everything else here is shared by all
benchmarks and knows nothing of lmms-eval. Nothing here loads torch.
"""
