"""What the client asks for, and what it makes of a server's refusals."""

import asyncio
from types import SimpleNamespace

import openai
import pytest
from judge_server import Answer, JudgeServer, make_cases, misbehave, number_of, settings_for, verdict

from qsv_eval.judge import JudgeSettings, judge_requests
from qsv_eval.judge.client import JudgeClient, LateError
from qsv_eval.model_adapters.errors import SetupError


def quietly(cases, settings):
    return judge_requests(cases, settings, progress=False)


def test_the_call_is_greedy_and_asks_for_json(server, tmp_path):
    quietly(make_cases(1), settings_for(server, tmp_path))
    body = server.requests[0].body
    assert {name: body[name] for name in ("model", "temperature", "max_tokens", "response_format")} == {
        "model": "small-judge",
        "temperature": 0,
        "max_tokens": 128,
        "response_format": {"type": "json_object"},
    }
    assert [message["role"] for message in body["messages"]] == ["system", "user"]


def test_json_mode_can_be_off_and_replies_longer(server, tmp_path):
    quietly(make_cases(1), settings_for(server, tmp_path, json_mode="off", max_tokens=4000))
    assert "response_format" not in server.requests[0].body
    assert server.requests[0].body["max_tokens"] == 4000


@pytest.mark.parametrize(
    ("option", "status", "error"),
    [
        ("response_format", 400, {"message": "'response_format.type' must be 'json_schema' or 'text'"}),
        ("response_format", 422, {"message": "extra field response_format"}),
        ("temperature", 400, {"message": "no", "param": "temperature", "code": "unsupported_value"}),
        ("max_tokens", 400, {"message": "use another", "param": "max_tokens", "code": "unsupported_parameter"}),
    ],
)
def test_an_option_that_the_server_rejects_is_left_out(server, tmp_path, option, status, error):
    def answer(seen):
        return Answer(status=status, error=tuple(error.items())) if option in seen.body else verdict(seen)

    server.answer = answer
    judged = quietly(make_cases(20), settings_for(server, tmp_path, concurrency=2))
    assert judged.complete
    rejected = [seen for seen in server.requests if option in seen.body]
    assert 1 <= len(rejected) <= 2  # of the calls that were under way at the start
    last = server.requests[-1].body
    assert ("max_completion_tokens" in last) == (option == "max_tokens")


def test_a_case_that_the_server_rejects_is_one_failure(server, tmp_path):
    def answer(seen):
        too_long = Answer(status=400, error=(("message", "too long"), ("code", "context_length_exceeded")))
        return too_long if number_of(seen) == 2 else verdict(seen)

    server.answer = answer
    judged = quietly(make_cases(5), settings_for(server, tmp_path))
    assert judged.failures == {"id2": "status 400: too long"}
    assert len(server.requests) == 5


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_no_case_would_escape_stops_at_once(server, tmp_path, monkeypatch, status):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    error = (("message", "Incorrect API key provided: sk-very-secret"),)
    server.answer = lambda seen: verdict(seen) if number_of(seen) < 3 else Answer(status=status, error=error)
    settings = settings_for(server, tmp_path, concurrency=1)
    with pytest.raises(SetupError) as caught:
        quietly(make_cases(50), settings)
    assert len(server.requests) == 4
    assert f"judge small-judge at {server.url}: " in str(caught.value)
    assert f"status {status}" in str(caught.value)
    assert "secret" not in str(caught.value)
    server.answer = verdict
    assert quietly(make_cases(50), settings).accounting.cached == 3


def test_an_account_without_credit_stops_at_once(server, tmp_path):
    error = (("message", "You exceeded your quota"), ("code", "insufficient_quota"))
    server.answer = lambda seen: Answer(status=429, error=error)
    with pytest.raises(SetupError, match="no credit left"):
        quietly(make_cases(50), settings_for(server, tmp_path, concurrency=1, attempts=2))
    assert len(server.requests) == 2


def test_the_key_is_sent_and_is_in_no_failure_and_no_file(server, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    error = (("message", "sk-very-secret may not do that"),)
    server.answer = lambda seen: verdict(seen) if number_of(seen) else Answer(status=400, error=error)
    settings = settings_for(server, tmp_path)
    judged = quietly(make_cases(2), settings)
    assert server.requests[0].headers["authorization"] == "Bearer sk-very-secret"
    assert judged.failures == {"id0": "status 400: *** may not do that"}
    assert "secret" not in repr(settings) + repr(judged) + "".join(p.read_text() for p in tmp_path.rglob("*.jsonl"))


def test_without_a_key_openai_is_not_asked(tmp_path):
    with pytest.raises(SetupError, match="OPENAI_API_KEY is not set"):
        quietly(make_cases(1), JudgeSettings(model="gpt-4o", cache=tmp_path))


def test_nobody_at_the_address_stops_at_once(tmp_path):
    with JudgeServer().running() as server:
        settings = settings_for(server, tmp_path, attempts=3)
    with pytest.raises(SetupError, match=r"no connection .* see that the server runs"):
        quietly(make_cases(500), settings)


def test_a_server_that_goes_down_stops_the_judging_and_keeps_its_verdicts(server, tmp_path):
    server.answer = lambda seen: verdict(seen) if number_of(seen) < 5 else Answer(hangs_up=True)
    settings = settings_for(server, tmp_path, attempts=2, concurrency=3)
    with pytest.raises(SetupError, match=r"no connection .* Verdicts so far are kept"):
        quietly(make_cases(50), settings)
    assert len(server.cases) < 15
    server.answer = verdict
    account = quietly(make_cases(50), settings).accounting
    assert 1 <= account.cached <= 5  # what was under way is given up
    assert account.cached + account.calls == 50


def test_a_connection_lost_now_and_then_stops_nothing(server, tmp_path):
    server.answer = lambda seen: Answer(hangs_up=True) if number_of(seen) % 4 == 1 else verdict(seen)
    judged = quietly(make_cases(20), settings_for(server, tmp_path, attempts=2, concurrency=2))
    assert set(judged.failures) == {f"id{number}" for number in range(1, 20, 4)}


def test_retry_after_is_waited_for(server, tmp_path, monkeypatch):
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    monkeypatch.setattr(openai._base_client.anyio, "sleep", sleep)
    too_many = Answer(status=429, headers=(("retry-after", "7"),))
    server.answer = lambda seen: (too_many, misbehave("500", seen), verdict(seen))[seen.nth]
    assert quietly(make_cases(1), settings_for(server, tmp_path)).complete
    assert waits[0] == 7
    assert waits[1] < 0.01  # the usual one, which is short here


def test_refusals_in_their_own_field_and_lone_surrogates_do_no_harm(server, tmp_path):
    server.answer = lambda seen: Answer(None) if seen.nth == 0 else Answer('{"pred": "yes", "score": 2} \ud83d')
    judged = quietly(make_cases(1), settings_for(server, tmp_path))
    assert judged.verdicts["id0"].raw == '{"pred": "yes", "score": 2} ?'
    assert quietly(make_cases(1), settings_for(server, tmp_path)).verdicts == judged.verdicts


def test_a_client_that_takes_lateness_for_a_lost_connection_is_corrected(tmp_path, monkeypatch):
    """Older versions of openai wrap whatever the transport raises."""

    async def create(*_, **__):
        raise openai.APIConnectionError(request=None) from LateError(3)

    async def ask():
        client = JudgeClient(JudgeSettings(model="m", url="http://localhost/v1", cache=tmp_path))
        completions = SimpleNamespace(with_raw_response=SimpleNamespace(create=create))
        wrapping = SimpleNamespace(chat=SimpleNamespace(completions=completions))
        monkeypatch.setattr(client._client, "with_options", lambda **_: wrapping)
        await client.ask([], 1, 4)

    with pytest.raises(LateError) as caught:
        asyncio.run(ask())
    assert caught.value.requests == 3
