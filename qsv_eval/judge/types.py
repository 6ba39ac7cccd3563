"""Requests to a judge, its verdicts, and the progress of a judging."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypedDict

from pydantic import BaseModel, ConfigDict

__all__ = ["JudgeProgress", "JudgeRequest", "Message", "UniqueRequest", "Verdict"]


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
    """Verdict of a judge on one request. A request that failed has none."""

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
    """Input tokens of the call that gave this verdict; None if the server did not say."""
    output_tokens: int | None = None


class UniqueRequest(NamedTuple):
    """Request that is sent once for all requests of the same content."""

    key: str
    case: JudgeRequest
    """The first of them."""
    messages: list[Message]


@dataclass
class JudgeProgress:
    """Failures, calls and tokens so far."""

    failures: dict[str, str] = field(default_factory=dict)
    """Reasons by key."""
    asked: set[str] = field(default_factory=set)
    """Keys of questions for which a call was started."""
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    unmetered: int = 0
