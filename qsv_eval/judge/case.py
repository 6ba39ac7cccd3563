"""What is put before a judge, and what comes back."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

__all__ = ["Case", "Verdict"]


@dataclass(frozen=True)
class Case:
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
