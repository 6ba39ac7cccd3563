"""Judging against a real server: what comes back, how often it is asked, what it costs."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from judge_server import Answer, make_cases, misbehave, number_of, right, settings_for, troubled, verdict

from qsv_eval.judge import JudgeRequest, estimate_cost, judge_requests
from qsv_eval.model_adapters.errors import SetupError

ROOT = Path(__file__).parents[3]


def quietly(cases, settings):
    return judge_requests(cases, settings, progress=False)


def assert_right(judged, count):
    """Every case has the verdict that it deserves, and none has another."""
    got = {id_: (verdict.correct, verdict.scores["score"]) for id_, verdict in judged.verdicts.items()}
    assert got == {f"id{number}": right(number) for number in range(count)}
    assert judged.complete
    assert judged.failures == {}


def test_a_sound_judge_is_asked_once_a_case(server, tmp_path):
    judged = quietly(make_cases(40), settings_for(server, tmp_path, price=(1.0, 10.0)))
    assert_right(judged, 40)
    assert len(server.requests) == 40
    account = judged.accounting
    assert (account.cases, account.cached, account.asked, account.calls, account.retried) == (40, 0, 40, 40, 0)
    assert (account.input_tokens, account.output_tokens, account.unmetered) == (40 * 300, 40 * 12, 0)
    assert account.dollars == pytest.approx((40 * 300 * 1 + 40 * 12 * 10) / 1e6)
    one = judged.verdicts["id3"]
    assert (one.judge, one.raw, one.input_tokens) == ("small-judge-0125", '{"pred": "yes", "score": 3}', 300)
    assert str(judged) == "40 of 40 requests judged by small-judge"


def test_a_second_scoring_makes_no_call(server, tmp_path):
    settings = settings_for(server, tmp_path)
    first = quietly(make_cases(20), settings)
    again = quietly(make_cases(20), settings)
    assert len(server.requests) == 20
    assert again.verdicts == first.verdicts
    assert (again.accounting.cached, again.accounting.asked, again.accounting.calls) == (20, 0, 0)
    assert estimate_cost(make_cases(21), settings).calls == 1


def test_other_judges_and_other_words_are_asked_anew(server, tmp_path):
    quietly(make_cases(3), settings_for(server, tmp_path))
    quietly(make_cases(3), settings_for(server, tmp_path, model="other-judge"))
    assert len(server.requests) == 6
    changed = [JudgeRequest(case.id, case.protocol, {**case.fields, "truth": "a dog"}) for case in make_cases(3)]
    assert quietly(changed, settings_for(server, tmp_path)).accounting.calls == 3


def test_thirty_percent_of_trouble_costs_calls_and_no_verdict(server, tmp_path):
    server.answer = troubled(0.3)
    settings = settings_for(server, tmp_path, timeout_s=1.0)
    judged = quietly(make_cases(300), settings)
    assert_right(judged, 300)
    # A request that ran out of time may never have reached the server.
    assert judged.accounting.calls >= len(server.requests) > 360
    assert judged.accounting.retried == judged.accounting.calls - 300
    lines = [line for path in tmp_path.rglob("*.jsonl") for line in path.read_text().splitlines()]
    assert len(lines) == 300
    assert quietly(make_cases(300), settings).accounting.calls == 0


def test_what_never_comes_is_unscored_and_counted(server, tmp_path):
    def answer(seen):
        if number_of(seen) % 20:
            return verdict(seen)
        return misbehave(("500", "429", "prose", "broken body", "truncated")[number_of(seen) // 20 % 5], seen)

    server.answer = answer
    judged = quietly(make_cases(200), settings_for(server, tmp_path, attempts=4))
    assert set(judged.failures) == {f"id{number}" for number in range(0, 200, 20)}
    assert not judged.complete
    assert len(judged.verdicts) == 190
    assert judged.accounting.failed == 10
    assert str(judged) == "190 of 200 requests judged by small-judge; INCOMPLETE: 10 have no verdict"
    assert judged.failures["id0"] == "status 500: trouble"
    assert judged.failures["id40"] == "a reply without pred and score, after 4 attempts"
    assert judged.failures["id80"] == "a reply cut off, after 4 attempts"
    assert len(server.requests) == 190 + 10 * 4
    server.answer = verdict
    healed = quietly(make_cases(200), settings_for(server, tmp_path))
    assert_right(healed, 200)
    assert healed.accounting.calls == 10


def test_no_reply_in_time_is_a_failure_and_blanks_are_no_reply(server, tmp_path):
    server.answer = lambda seen: (
        Answer(hangs=True, blanks=number_of(seen) == 1) if number_of(seen) < 2 else verdict(seen)
    )
    judged = quietly(make_cases(4), settings_for(server, tmp_path, timeout_s=0.6, attempts=2))
    assert judged.failures == dict.fromkeys(["id0", "id1"], "no reply within 0.6 s, after 2 attempts")
    assert judged.accounting.unmetered == 4


def test_a_judge_that_wrote_no_verdict_is_reminded(server, tmp_path):
    server.answer = lambda seen: misbehave("prose", seen) if seen.nth == 0 else verdict(seen)
    assert_right(quietly(make_cases(1), settings_for(server, tmp_path)), 1)
    first, second = [seen.body["messages"][-1]["content"] for seen in server.requests]
    assert second.startswith(first)
    assert "no such object" in second


def test_refused_and_useless_requests_count_as_attempts_alike(server, tmp_path):
    server.answer = lambda seen: misbehave(("500", "prose")[seen.nth % 2], seen)
    judged = quietly(make_cases(1), settings_for(server, tmp_path, attempts=4))
    assert len(server.requests) == judged.accounting.calls == 4
    assert judged.failures == {"id0": "a reply without pred and score, after 4 attempts"}


def test_cases_of_the_same_content_are_asked_once(server, tmp_path):
    cases = [JudgeRequest(f"copy{n}", "open_qa", make_cases(2)[1].fields) for n in range(30)]
    judged = quietly(cases, settings_for(server, tmp_path))
    assert len(server.requests) == 1
    assert len(judged.verdicts) == 30
    assert (judged.accounting.cases, judged.accounting.asked) == (30, 1)


def test_no_more_calls_at_once_than_allowed(server, tmp_path):
    def answer(seen):
        server.wait(0.02)
        return verdict(seen)

    server.answer = answer
    quietly(make_cases(40), settings_for(server, tmp_path, concurrency=5))
    assert 1 < server.most_at_once <= 5


def test_two_cases_with_one_id_are_an_error(server, tmp_path):
    with pytest.raises(SetupError, match="request id0: two requests have this id"):
        quietly(make_cases(1) * 2, settings_for(server, tmp_path))


def test_it_says_what_it_is_going_to_cost(server, tmp_path, capfd):
    settings = settings_for(server, tmp_path, price=(10.0, 30.0), budget_tokens=100_000)
    expected = estimate_cost(make_cases(10), settings)
    assert expected.dollars == pytest.approx((expected.input_tokens * 10 + expected.output_tokens * 30) / 1e6)
    judged = judge_requests(make_cases(10), settings)
    assert judged.accounting.estimated == expected
    # The server counts 300 tokens a prompt, which is what prompts of this length are.
    assert 0.5 < expected.input_tokens / 3000 < 2
    said = capfd.readouterr().err
    assert f"Judge small-judge: 10 requests, 0 verdicts on disk, {expected}; the budget is 100,000 tokens" in said


def test_works_in_worker_threads_and_inside_a_running_loop(server, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        settings = [settings_for(server, tmp_path, model=f"judge-{n}") for n in range(4)]
        for judged in pool.map(quietly, [make_cases(5)] * 4, settings):
            assert_right(judged, 5)

    async def notebook():
        return quietly(make_cases(5), settings_for(server, tmp_path))

    assert_right(asyncio.run(notebook()), 5)


INTERRUPTED = """
import asyncio, sys
sys.path.insert(0, sys.argv[4])
from judge_server import make_cases
from qsv_eval.judge import JudgeSettings, judge_requests

def judge():
    settings = JudgeSettings(model="small-judge", url=sys.argv[1], cache=sys.argv[2], concurrency=4)
    judge_requests(make_cases(60), settings, progress=False)

async def notebook():
    judge()

judge() if sys.argv[3] == "plain" else asyncio.new_event_loop().run_until_complete(notebook())
"""


@pytest.mark.parametrize("where", ["plain", "notebook"])
def test_an_interrupt_loses_no_verdict(server, tmp_path, where):
    def answer(seen):
        # From the twentieth on nobody is answered: whatever the process ends of is the interrupt.
        return verdict(seen) if number_of(seen) < 20 else Answer(hangs=True)

    server.answer = answer
    command = [sys.executable, "-c", INTERRUPTED, server.url, str(tmp_path), where, str(ROOT / "tests/helpers")]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE)
    while len(server.requests) < 24 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in stderr
    assert process.returncode in (1, 130, -signal.SIGINT)
    server.answer = verdict
    judged = quietly(make_cases(60), settings_for(server, tmp_path))
    assert_right(judged, 60)
    assert judged.accounting.cached == 20
