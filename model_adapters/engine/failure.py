"""The reply and the reason of failed requests.

lmms-eval knows replies only as strings and aborts the run when a model raises, so a failure travels as one reserved
string. Its reason is in the journal and, for scorers in the same process, in this module.
"""

__all__ = ["ERROR_REPLY", "note_failure", "reason_for"]

ERROR_REPLY = "\u26a0\u26a0\u26a0"
"""Reply of a failed request: it has no letters, digits or words, so no answer can be extracted from it."""

_reasons: dict[tuple[str, str], str] = {}


def note_failure(task: str, sample_id: str, reason: str) -> None:
    """Remember the reason why a sample failed."""
    _reasons[task, sample_id] = reason


def reason_for(task: str, sample_id: str) -> str:
    """Return the reason why a sample failed, or "" if this process does not know it."""
    return _reasons.get((task, sample_id), "")
