"""Cost of judging: the estimate before the first call, the token budget, and the accounting afterwards."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from qsv_eval.judge.types import Message

__all__ = [
    "Accounting",
    "Budget",
    "BudgetSpentError",
    "Charge",
    "JudgeCostEstimate",
    "expected_tokens",
    "max_tokens_bound",
]

_BYTES_PER_TOKEN: Final = 4
"""Bytes of English text for each token, roughly, for any of the usual tokenizers."""
_TEMPLATE_TOKENS: Final = 32
"""Tokens that a chat template puts around a message, at the most."""


@dataclass(frozen=True)
class JudgeCostEstimate:
    """Estimate of the requests and tokens to come: a token for every four bytes, no call repeated."""

    calls: int
    input_tokens: int
    output_tokens: int
    dollars: float | None

    def __str__(self) -> str:
        cost = "" if self.dollars is None else f", about ${self.dollars:.2f}"
        return f"{self.calls} calls, about {self.input_tokens + self.output_tokens:,} tokens{cost}"


@dataclass(frozen=True)
class Accounting:
    """Requests and tokens of a finished judging. Requests with the same content count once."""

    cases: int
    cached: int
    """Questions whose verdict was on disk."""
    asked: int
    """Questions for which the judge was called."""
    calls: int
    """Requests sent, repeated ones included."""
    failed: int
    """Cases without a verdict."""
    input_tokens: int
    output_tokens: int
    unmetered: int
    """Calls of which no tokens are known: the server does not count, or the reply never came and may be billed. Against
    the budget each counts for the most that it could have cost; in tokens and dollars it is not."""
    dollars: float | None
    estimated: JudgeCostEstimate

    @property
    def retried(self) -> int:
        """Requests beyond the first of each question."""
        return self.calls - self.asked


def expected_tokens(messages: Iterable[Message]) -> int:
    """Return about how many tokens messages are."""
    return sum(_bytes(message) // _BYTES_PER_TOKEN for message in messages)


def max_tokens_bound(messages: Iterable[Message]) -> int:
    """Return more tokens than messages can be: every token of a byte-level tokenizer covers a byte."""
    return sum(_bytes(message) + _TEMPLATE_TOKENS for message in messages)


def _bytes(message: Message) -> int:
    return len(message["content"].encode())


class BudgetSpentError(Exception):
    """The next call could cost more than is left."""


@dataclass
class Charge:
    """Tokens that a call is charged in the end: all that was set aside for it, unless it says otherwise."""

    tokens: int


class Budget:
    """Tokens that may be spent. What running calls could cost at the most is set aside for them."""

    def __init__(self, limit: int | None) -> None:
        self._left = limit
        self._set_aside = 0
        self._settled = asyncio.Event()

    @asynccontextmanager
    async def reserved(self, tokens: int) -> AsyncIterator[Charge]:
        """Set tokens aside for one call, if need be once others have ended; BudgetSpentError if there is no hope."""
        if self._left is None:
            yield Charge(tokens)
            return
        while self._set_aside + tokens > self._left:
            if tokens > self._left or not self._set_aside:
                raise BudgetSpentError
            await self._settled.wait()
        self._set_aside += tokens
        charge = Charge(tokens)
        try:
            yield charge
        finally:
            self._set_aside -= tokens
            self._left -= charge.tokens
            self._settled.set()
            self._settled = asyncio.Event()
