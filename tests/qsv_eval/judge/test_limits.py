"""The budget is never passed."""

import asyncio

import pytest
from judge_server import Answer, make_cases, misbehave, number_of, settings_for, verdict

from qsv_eval.judge import judge_requests
from qsv_eval.judge.cost import Budget, BudgetSpentError, max_tokens_bound
from qsv_eval.judge.prompts import build_messages
from qsv_eval.judge.rubrics import RUBRICS

WORST = max_tokens_bound(build_messages(make_cases(1)[0])) + RUBRICS["open_qa"].max_tokens


@pytest.mark.parametrize("concurrency", [1, 16])
def test_what_the_budget_does_not_cover_is_not_asked(server, tmp_path, concurrency):
    settings = settings_for(server, tmp_path, budget_tokens=312 * 10 + WORST + 9, concurrency=concurrency)
    judged = judge_requests(make_cases(50), settings, progress=False)
    account = judged.accounting
    # Ten calls of 312 tokens, and one more whose worst case fits; its number may be a byte longer than the first's.
    assert len(server.requests) == account.calls == len(judged.verdicts) == 11
    assert account.input_tokens + account.output_tokens <= settings.budget_tokens
    assert list(judged.failures.values()) == ["budget"] * 39
    more = judge_requests(make_cases(50), settings_for(server, tmp_path), progress=False)
    assert more.complete
    assert more.accounting.calls == 39


def test_a_budget_below_one_call_makes_none(server, tmp_path):
    judged = judge_requests(make_cases(3), settings_for(server, tmp_path, budget_tokens=WORST - 100), progress=False)
    assert server.requests == []
    assert judged.failures == dict.fromkeys(["id0", "id1", "id2"], "budget")
    assert judged.accounting.asked == 0


def test_calls_that_may_be_billed_count_for_the_most_they_can_cost(server, tmp_path):
    server.answer = lambda seen: Answer(verdict(seen).content, usage=False)
    settings = settings_for(server, tmp_path, budget_tokens=WORST * 5 + 200, concurrency=4)
    judged = judge_requests(make_cases(9), settings, progress=False)
    assert len(server.requests) == 5
    assert (judged.accounting.unmetered, judged.accounting.input_tokens) == (5, 0)
    assert judged.verdicts["id0"].input_tokens is None


def test_asking_again_is_within_the_budget_and_refused_calls_are_free(server, tmp_path):
    server.answer = lambda seen: misbehave("prose" if number_of(seen) else "500", seen)
    settings = settings_for(server, tmp_path, budget_tokens=312 + WORST, concurrency=1, attempts=5)
    judged = judge_requests(make_cases(2), settings, progress=False)
    assert judged.failures == {"id0": "status 500: trouble", "id1": "budget"}
    assert judged.accounting.input_tokens == 300


async def _reserve(limit: int) -> list[int]:
    budget = Budget(limit)
    async with budget.reserved(60) as charge:
        charge.tokens = 50
    left = []
    for tokens in (51, 50):
        try:
            async with budget.reserved(tokens):
                left.append(tokens)
        except BudgetSpentError:
            left.append(-tokens)
    return left


def test_what_was_set_aside_and_not_used_is_free_again():
    assert asyncio.run(_reserve(100)) == [-51, 50]
