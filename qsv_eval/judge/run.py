"""Judging of requests: cached verdicts are reused, the others are requested."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tqdm import tqdm

from qsv_eval.judge.cache import VerdictCache, verdict_key
from qsv_eval.judge.cost import Accounting, JudgeCostEstimate, expected_tokens
from qsv_eval.judge.prompts import build_messages
from qsv_eval.judge.rubrics import rubric_named
from qsv_eval.judge.run_async import run_async
from qsv_eval.judge.settings import JudgeSettings
from qsv_eval.judge.types import JudgeProgress, JudgeRequest, UniqueRequest, Verdict
from qsv_eval.model_adapters.errors import SetupError

__all__ = ["JudgeResult", "estimate_cost", "judge_requests"]


@dataclass(frozen=True)
class JudgeResult:
    """Result of judging. Every request is either in `verdicts` or in `failures`."""

    judge: str
    """The model that was asked for."""
    verdicts: Mapping[str, Verdict] = field(repr=False)
    """By request id."""
    failures: Mapping[str, str] = field(repr=False)
    """Reasons by request id. These requests are unscored, and are sent again next time."""
    accounting: Accounting

    @property
    def complete(self) -> bool:
        """Whether every request has a verdict."""
        return not self.failures

    def __str__(self) -> str:
        done = f"{len(self.verdicts)} of {self.accounting.cases} requests judged by {self.judge}"
        return done if self.complete else f"{done}; INCOMPLETE: {len(self.failures)} have no verdict"


class _JudgePlan(NamedTuple):
    """Unique requests, and the key of each request."""

    questions: dict[str, UniqueRequest]
    """By key."""
    keys: dict[str, str]
    """By request id."""


def judge_requests(requests: Iterable[JudgeRequest], settings: JudgeSettings, *, progress: bool = True) -> JudgeResult:
    """Get a verdict for every request. Works on any thread, with or without a running event loop.

    Args:
        requests: with ids that differ. Requests of the same content are sent once.
        settings: the judge and the limits.
        progress: say on stderr what it is going to cost, and show a bar.

    Raises:
        SetupError: a request lacks fields of its rubric, the judge cannot be asked at all (key, model, address,
            credit, nobody answers), or verdicts cannot be kept. Those that arrived before are on disk.
    """
    plan = _plan(requests, settings)
    with VerdictCache(settings.cache, settings.model) as cache:
        left = [question for key, question in plan.questions.items() if cache.get(key) is None]
        estimated = _estimate(left, settings)
        if progress:
            _announce(plan, left, estimated, settings)
        ledger = _ask(left, settings, cache, progress=progress) if left else JudgeProgress()
        found = {id_: cache.get(key) for id_, key in plan.keys.items()}
    verdicts = {id_: verdict for id_, verdict in found.items() if verdict is not None}
    failures = {id_: ledger.failures[plan.keys[id_]] for id_, verdict in found.items() if verdict is None}
    accounting = Accounting(
        cases=len(plan.keys),
        cached=len(plan.questions) - len(left),
        asked=len(ledger.asked),
        calls=ledger.requests,
        failed=len(failures),
        input_tokens=ledger.input_tokens,
        output_tokens=ledger.output_tokens,
        unmetered=ledger.unmetered,
        dollars=settings.dollars(ledger.input_tokens, ledger.output_tokens),
        estimated=estimated,
    )
    return JudgeResult(settings.model, verdicts, failures, accounting)


def estimate_cost(requests: Iterable[JudgeRequest], settings: JudgeSettings) -> JudgeCostEstimate:
    """Return what judging these requests is going to cost, without a call. What is on disk costs nothing."""
    plan = _plan(requests, settings)
    with VerdictCache(settings.cache, settings.model) as cache:
        return _estimate([question for key, question in plan.questions.items() if cache.get(key) is None], settings)


def _plan(requests: Iterable[JudgeRequest], settings: JudgeSettings) -> _JudgePlan:
    plan = _JudgePlan({}, {})
    for request in requests:
        if request.id in plan.keys:
            raise SetupError(f"request {request.id}: two requests have this id; give each its own")
        messages = build_messages(request)
        key = verdict_key(settings.model, request, messages)
        plan.keys[request.id] = key
        plan.questions.setdefault(key, UniqueRequest(key, request, messages))
    return plan


def _estimate(questions: list[UniqueRequest], settings: JudgeSettings) -> JudgeCostEstimate:
    read = sum(expected_tokens(question.messages) for question in questions)
    written = sum(rubric_named(question.request.protocol).usual_tokens for question in questions)
    return JudgeCostEstimate(len(questions), read, written, settings.dollars(read, written))


def _announce(
    plan: _JudgePlan, left: list[UniqueRequest], estimated: JudgeCostEstimate, settings: JudgeSettings
) -> None:
    known = len(plan.questions) - len(left)
    budget = "" if settings.budget_tokens is None else f"; the budget is {settings.budget_tokens:,} tokens"
    said = f"Judge {settings.model}: {len(plan.keys)} requests, {known} verdicts on disk, {estimated}{budget}"
    tqdm.write(said, file=sys.stderr)


def _ask(left: list[UniqueRequest], settings: JudgeSettings, cache: VerdictCache, *, progress: bool) -> JudgeProgress:
    from qsv_eval.judge.request_loop import ask_all  # brings openai along, which takes a second

    def keep(question: UniqueRequest, verdict: Verdict) -> None:
        cache.add(question.key, question.request, verdict)

    with tqdm(total=len(left), desc="Judging", unit="request", disable=not progress) as bar:
        return run_async(lambda: ask_all(left, settings, keep, bar.update))
