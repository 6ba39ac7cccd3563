"""Concurrent requests to a judge, until each has a verdict or a reason for its failure."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from qsv_eval.judge.client import JudgeClient, JudgeReply, LateError, UnansweredError
from qsv_eval.judge.cost import Budget, BudgetSpentError, max_tokens_bound
from qsv_eval.judge.parse import NoVerdictError, parse_verdict
from qsv_eval.judge.prompts import with_reminder
from qsv_eval.judge.rubrics import rubric_named
from qsv_eval.judge.settings import JudgeSettings
from qsv_eval.judge.types import JudgeProgress, Message, UniqueRequest, Verdict
from qsv_eval.model_adapters.errors import SetupError

__all__ = ["BUDGET", "ask_all"]

BUDGET: Final = "budget"
"""The reason of what was not asked, or not asked again, for its cost."""


async def ask_all(
    questions: Sequence[UniqueRequest],
    settings: JudgeSettings,
    keep: Callable[[UniqueRequest, Verdict], None],
    tick: Callable[[], object],
) -> JudgeProgress:
    """Ask all questions.

    Args:
        questions: each is taken when a worker is free for it.
        settings: the judge and its limits.
        keep: is handed each verdict the moment it arrives.
        tick: is called whenever a question is done with.

    Raises:
        SetupError: the judge cannot be asked at all, or not any more.
    """
    asking = _RequestLoop(settings, patience=min(2 * settings.concurrency, len(questions)))
    waiting = iter(questions)

    async def work() -> None:
        for question in waiting:
            verdict = await asking.settle(question)
            if verdict is not None:
                keep(question, verdict)
            tick()

    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(settings.concurrency):
                workers.create_task(work())
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None  # the others were cancelled, or say the same
    finally:
        await asking.close()
    return asking.ledger


class _RequestLoop:
    """The state that all workers share."""

    def __init__(self, settings: JudgeSettings, patience: int) -> None:
        self.ledger = JudgeProgress()
        self._settings = settings
        self._client = JudgeClient(settings)
        self._budget = Budget(settings.budget_tokens)
        self._patience = patience
        self._silent_in_a_row = 0

    async def close(self) -> None:
        self.ledger.requests = self._client.requests
        await self._client.close()

    async def settle(self, question: UniqueRequest) -> Verdict | None:
        """Return a verdict, or note why there is none."""
        try:
            return await self._verdict(question)
        except BudgetSpentError:
            self.ledger.failures[question.key] = BUDGET
        except UnansweredError as error:
            self.ledger.failures[question.key] = str(error)
            self._note_silence(error)
        return None

    async def _verdict(self, question: UniqueRequest) -> Verdict:
        """Ask until the reply is a verdict."""
        protocol = rubric_named(question.request.protocol)
        left, reason, messages = self._settings.attempts, "", question.messages
        while left > 0:
            try:
                reply = await self._ask(question, messages, left)
            except LateError as error:
                left -= error.requests
                reason = f"no reply within {self._settings.timeout_s:g} s"
                continue
            left -= reply.requests
            try:
                scores, correct = parse_verdict(reply.text, protocol, is_cut_off=reply.is_cut_off)
            except NoVerdictError as error:
                reason, messages = str(error), with_reminder(question.messages)
                continue
            return Verdict(
                judge=reply.model or self._settings.model,
                scores=scores,
                correct=correct,
                raw=reply.text,
                input_tokens=reply.input_tokens,
                output_tokens=reply.output_tokens,
            )
        raise UnansweredError(f"{reason}, after {self._settings.attempts} attempts")

    async def _ask(self, question: UniqueRequest, messages: list[Message], attempts: int) -> JudgeReply:
        """Ask once, within the budget."""
        ledger = self.ledger
        max_tokens = self._settings.max_tokens or rubric_named(question.request.protocol).max_tokens
        async with self._budget.reserved(max_tokens_bound(messages) + max_tokens) as charge:
            ledger.asked.add(question.key)
            try:
                reply = await self._client.ask(messages, max_tokens, attempts)
            except LateError:
                ledger.unmetered += 1
                raise
            except UnansweredError:
                charge.tokens = 0
                raise
            if reply.input_tokens is None or reply.output_tokens is None:
                ledger.unmetered += 1
            else:
                charge.tokens = reply.input_tokens + reply.output_tokens
                ledger.input_tokens += reply.input_tokens
                ledger.output_tokens += reply.output_tokens
        self._silent_in_a_row = 0
        return reply

    def _note_silence(self, error: UnansweredError) -> None:
        """Stop if the server seems to be down: every further case would wait through all its attempts for nothing."""
        self._silent_in_a_row = self._silent_in_a_row + 1 if error.is_silent else 0
        if self._silent_in_a_row >= self._patience:  # more than chance can bring together in calls at the same time
            raise SetupError(
                f"judge {self._settings.model} at {self._settings.url}: {error}. Verdicts so far are kept; see that "
                "the server runs, and score again"
            ) from error
