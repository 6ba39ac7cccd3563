"""Rows before a judge, on a real local server."""

import pytest
from judge_server import Answer, JudgeServer

from qsv_eval.data.sample import Sample
from qsv_eval.judge import JudgeSettings
from qsv_eval.model_adapters.engine.failure import ERROR_REPLY
from qsv_eval.scoring.apply_judge import judge_samples
from qsv_eval.scoring.sample_result import new_sample_result
from qsv_eval.scoring.scorers import JudgedAnswer, score_sample
from qsv_eval.tasks.registry import task_named


@pytest.fixture
def server(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    with JudgeServer().running() as running:
        yield running


def settings(server, tmp_path, **more) -> JudgeSettings:
    return JudgeSettings(model="local", url=server.url, cache=tmp_path / "verdicts", **more)


def row(id_, reply, protocols, answer="A dog.", **notes):
    sample = Sample(id=id_, question=f"What is in {id_}?", answer=answer, notes=notes)
    return score_sample(new_sample_result("qsv_x", sample, reply), JudgedAnswer(lambda _: protocols))


def judged(rows, server, tmp_path):
    return judge_samples(rows, settings(server, tmp_path), progress=False)


def test_yes_and_no_are_right_and_wrong(server, tmp_path):
    server.answer = lambda seen: Answer(
        '{"pred": "%s", "score": 4}' % ("yes" if "dog" in seen.case["predicted_answer"] else "no")
    )
    rows = [row("1", "A dog.", ["open_qa"]), row("2", "A cat.", ["open_qa"]), row("3", "", ["open_qa"])]
    found, accounting = judged(rows, server, tmp_path)
    assert [(one["outcome"], one["score"], one["verdicts"]) for one in found] == [
        ("correct", 1.0, {"open_qa": 4.0}),
        ("wrong", 0.0, {"open_qa": 4.0}),
        ("empty", 0.0, {"open_qa": 0.0}),
    ]
    assert accounting.calls == 2, "nothing is asked of an empty reply"


def test_grades_are_a_share_of_their_scale(server, tmp_path):
    server.answer = lambda seen: Answer('{"reason": "x", "completeness": 4, "reliability": 2, "score": 2}')
    rows = [row("1", "A dog.", ["mlvu_summary"]), row("2", "A dog.", ["vcg_detail", "vcg_context"])]
    found, _ = judged(rows, server, tmp_path)
    assert (found[0]["verdicts"], found[0]["score"]) == ({"mlvu_summary": 6.0}, 0.5)
    assert (found[1]["verdicts"], found[1]["score"]) == ({"vcg_detail": 2.0, "vcg_context": 2.0}, 0.4)
    assert [one["outcome"] for one in found] == ["correct", "wrong"]


def test_a_pair_is_judged_together_and_counts_once(server, tmp_path):
    asked = []

    def answer(seen):
        asked.append(seen.case)
        return Answer('{"score": 5}')

    server.answer = answer
    rows = [
        row("c-0-2", "A dog indeed.", ["vcg_consistency"], pair="c-0"),
        row("c-0-1", "A dog.", ["vcg_consistency"], pair="c-0"),
        row("c-1-1", "A cat.", ["vcg_consistency"], pair="c-1"),
        row("c-1-2", ERROR_REPLY, ["vcg_consistency"], pair="c-1"),
    ]
    found, _ = judged(rows, server, tmp_path)
    assert [one["outcome"] for one in found] == ["correct", "correct", "unscored", "error"]
    assert [one["verdicts"] for one in found] == [{}, {"vcg_consistency": 5.0}, {}, {}]
    assert [bool(one["wanted"]) for one in found] == [False, True, True, False]
    assert found[2]["reason"] == "the other question of its pair has no reply"
    [case] = asked
    assert (case["predicted_answer_1"], case["predicted_answer_2"]) == ("A dog.", "A dog indeed.")


def test_a_judge_that_fails_leaves_no_score(server, tmp_path):
    def answer(seen):
        return (
            Answer(status=400, error=(("message", "no"),))
            if "2" in seen.case["question"]
            else Answer('{"pred": "yes", "score": 5}')
        )

    server.answer = answer
    rows = [row(str(number), "A dog.", ["open_qa"]) for number in range(4)]
    found, accounting = judged(rows, server, tmp_path)
    assert [one["outcome"] == "unscored" for one in found] == [False, False, True, False]
    assert "open_qa: status 400" in found[2]["reason"]
    assert accounting.failed == 1
    summary = task_named("qsv_activitynetqa").average.of(found)
    assert summary is not None
    again, accounting = judged(rows, server, tmp_path)
    assert (accounting.cached, accounting.asked) == (3, 1)
    assert again[:2] == found[:2]


def test_what_is_scored_already_is_left_alone(server, tmp_path):
    rows = [row("1", ERROR_REPLY, ["open_qa"]), row("2", "A dog.", ["open_qa"], answer="")]
    found, accounting = judged(rows, server, tmp_path)
    assert found == rows
    assert accounting.calls == 0
