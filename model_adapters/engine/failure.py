"""A failed question has a reply of its own, which no scorer can take for an answer, and a reason.

lmms-eval knows replies only as strings and aborts a run when anything raises, so a failure travels as one reserved
string. The reason is kept in the journal and, for the scorers of the same process, here.
"""

__all__ = ["ERROR_REPLY", "note_failure", "reason_for"]

ERROR_REPLY = "\u26a0\u26a0\u26a0"
"""Returned in place of an answer: no letters, digits or words, so nothing can be extracted from it."""

_reasons: dict[tuple[str, str], str] = {}


def note_failure(task: str, sample_id: str, reason: str) -> None:
    """Remember why a sample of a task failed."""
    _reasons[task, sample_id] = reason


def reason_for(task: str, sample_id: str) -> str:
    """Return why a sample failed, or an empty string where that is not known in this process."""
    return _reasons.get((task, sample_id), "")
