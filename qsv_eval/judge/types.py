"""Types of judging: message, request, verdict and progress."""

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
    """Unique among the requests of one call."""
    protocol: str
    """Name of a rubric in `RUBRICS`."""
    fields: Mapping[str, str]
    """Texts that the rubric takes, such as question, truth and reply."""


class Verdict(BaseModel):
    """A judge's verdict on one request. A failed request has none."""

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
    """One call for all requests of the same content."""

    key: str
    request: JudgeRequest
    """The first of them."""
    messages: list[Message]


@dataclass
class JudgeProgress:
    """Counts and failures so far."""

    failures: dict[str, str] = field(default_factory=dict)
    """Reasons by key."""
    asked: set[str] = field(default_factory=set)
    """Keys of questions for which a call was started."""
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    unmetered: int = 0
