"""One thing to ask a judge, and the record of what came of many."""

from dataclasses import dataclass, field
from typing import NamedTuple

from qsv_eval.judge.case import Case
from qsv_eval.judge.prompts import Message

__all__ = ["Ledger", "Question"]


class Question(NamedTuple):
    """What is asked once, for all cases of the same content."""

    key: str
    case: Case
    """The first of them."""
    messages: list[Message]


@dataclass
class Ledger:
    """What happened so far."""

    failures: dict[str, str] = field(default_factory=dict)
    """Reasons by key."""
    asked: set[str] = field(default_factory=set)
    """Keys of questions for which a call was started."""
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    unmetered: int = 0
