"""What is put before a judge, and what comes back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypedDict

from pydantic import BaseModel, ConfigDict

__all__ = ["JudgeProgress", "JudgeRequest", "Message", "UniqueRequest", "Verdict"]

# MERGED DOCSTRINGS, to be worked into the one above:
# One thing to ask a judge, and the record of what came of many.


class Message(TypedDict):
    """A message as the OpenAI protocol has it."""

    role: str  # "system" or "user"
    content: str


@dataclass(frozen=True)
class JudgeRequest:
    """One answer to be judged."""

    id: str
    """Different for every case of a judging."""
    protocol: str
    """A name of `PROTOCOLS`."""
    fields: Mapping[str, str]
    """The texts that the protocol asks for, such as question, truth and reply."""


class Verdict(BaseModel):
    """What a judge said of one case. There is none for a case that failed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    judge: str
    """The model as the server named it, often more exactly than it was asked for; "exact" for the offline judge."""
    scores: dict[str, float]
    """By dimension, on the protocol's own scale."""
    correct: bool | None = None
    """The judge's yes or no; None where the protocol asks for none."""
    raw: str = ""
    """The judge's text, as it came."""
    input_tokens: int | None = None
    """Of the call that gave this verdict; None if the server did not say."""
    output_tokens: int | None = None


class UniqueRequest(NamedTuple):
    """What is asked once, for all cases of the same content."""

    key: str
    case: JudgeRequest
    """The first of them."""
    messages: list[Message]


@dataclass
class JudgeProgress:
    """What happened so far."""

    failures: dict[str, str] = field(default_factory=dict)
    """Reasons by key."""
    asked: set[str] = field(default_factory=set)
    """Keys of questions for which a call was started."""
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    unmetered: int = 0
