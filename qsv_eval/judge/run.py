"""Judging from beginning to end: what is on disk is taken from there, the rest is asked."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tqdm import tqdm

from qsv_eval.judge.accounting import Accounting, Estimate, likely_tokens
from qsv_eval.judge.cache import VerdictCache, cache_key
from qsv_eval.judge.case import Case, Verdict
from qsv_eval.judge.loops import run_in_own_loop
from qsv_eval.judge.prompts import build_messages
from qsv_eval.judge.protocols import protocol_named
from qsv_eval.judge.question import Ledger, Question
from qsv_eval.judge.settings import JudgeSettings
from qsv_eval.model_adapters.errors import SetupError

__all__ = ["Judged", "estimate", "judge_cases"]


@dataclass(frozen=True)
class Judged:
    """What came of a judging. Every case is either in `verdicts` or in `failures`."""

    judge: str
    """The model that was asked for."""
    verdicts: Mapping[str, Verdict] = field(repr=False)
    """By case id."""
    failures: Mapping[str, str] = field(repr=False)
    """Why there is no verdict, by case id. These cases are unscored, and are asked again next time."""
    accounting: Accounting

    @property
    def complete(self) -> bool:
        """Whether every case has a verdict."""
        return not self.failures

    def __str__(self) -> str:
        done = f"{len(self.verdicts)} of {self.accounting.cases} cases judged by {self.judge}"
        return done if self.complete else f"{done}; INCOMPLETE: {len(self.failures)} have no verdict"


class _Plan(NamedTuple):
    """What is to be asked, and for whom."""

    questions: dict[str, Question]
    """By key."""
    keys: dict[str, str]
    """By case id."""


def judge_cases(cases: Iterable[Case], settings: JudgeSettings, *, progress: bool = True) -> Judged:
    """Get a verdict for every case. Works on any thread, with or without a running event loop.

    Args:
        cases: with ids that differ. Cases of the same content are asked once.
        settings: the judge and the limits.
        progress: say on stderr what it is going to cost, and show a bar.

    Raises:
        SetupError: a case is not what its protocol takes, the judge cannot be asked at all (key, model, address,
            credit, nobody answers), or verdicts cannot be kept. Those that arrived before are on disk.
    """
    plan = _plan(cases, settings)
    with VerdictCache(settings.cache, settings.model) as cache:
        left = [question for key, question in plan.questions.items() if cache.get(key) is None]
        estimated = _estimate(left, settings)
        if progress:
            _announce(plan, left, estimated, settings)
        ledger = _ask(left, settings, cache, progress=progress) if left else Ledger()
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
    return Judged(settings.model, verdicts, failures, accounting)


def estimate(cases: Iterable[Case], settings: JudgeSettings) -> Estimate:
    """Return what judging these cases is going to cost, without a call. What is on disk costs nothing."""
    plan = _plan(cases, settings)
    with VerdictCache(settings.cache, settings.model) as cache:
        return _estimate([question for key, question in plan.questions.items() if cache.get(key) is None], settings)


def _plan(cases: Iterable[Case], settings: JudgeSettings) -> _Plan:
    plan = _Plan({}, {})
    for case in cases:
        if case.id in plan.keys:
            raise SetupError(f"case {case.id}: two cases have this id; give each its own")
        messages = build_messages(case)
        key = cache_key(settings.model, case, messages)
        plan.keys[case.id] = key
        plan.questions.setdefault(key, Question(key, case, messages))
    return plan


def _estimate(questions: list[Question], settings: JudgeSettings) -> Estimate:
    read = sum(likely_tokens(question.messages) for question in questions)
    written = sum(protocol_named(question.case.protocol).usual_tokens for question in questions)
    return Estimate(len(questions), read, written, settings.dollars(read, written))


def _announce(plan: _Plan, left: list[Question], estimated: Estimate, settings: JudgeSettings) -> None:
    known = len(plan.questions) - len(left)
    budget = "" if settings.budget_tokens is None else f"; the budget is {settings.budget_tokens:,} tokens"
    said = f"Judge {settings.model}: {len(plan.keys)} cases, {known} verdicts on disk, {estimated}{budget}"
    tqdm.write(said, file=sys.stderr)


def _ask(left: list[Question], settings: JudgeSettings, cache: VerdictCache, *, progress: bool) -> Ledger:
    from qsv_eval.judge.asking import ask_all  # brings openai along, which takes a second

    def keep(question: Question, verdict: Verdict) -> None:
        cache.add(question.key, question.case, verdict)

    with tqdm(total=len(left), desc="Judging", unit="case", disable=not progress) as bar:
        return run_in_own_loop(lambda: ask_all(left, settings, keep, bar.update))
