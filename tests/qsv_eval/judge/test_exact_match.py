"""The offline judge."""

import pytest

from qsv_eval.judge import JudgeRequest, judge_exactly
from qsv_eval.judge.exact_match import normalised, token_f1
from qsv_eval.model_adapters.errors import SetupError


def case(reply, truth, id_="1"):
    return JudgeRequest(id_, "open_qa", {"question": "q", "truth": truth, "reply": reply})


@pytest.mark.parametrize(
    ("reply", "truth", "f1"),
    [
        ("yes", "Yes.", 1),
        ("The  cat!", "a CAT", 1),
        ("\uff12", "2", 1),
        ("2.5 metres", "2.5 metres", 1),
        ("2.5", "25", 0),
        ("no", "yes", 0),
        ("", "yes", 0),
        ("", "", 1),
        ("a red car", "red", 2 / 3),
        ("red red red", "red", 1 / 2),
    ],
)
def test_words_are_compared_without_case_marks_and_articles(reply, truth, f1):
    assert token_f1(reply, truth) == pytest.approx(f1)
    assert token_f1(truth, reply) == pytest.approx(f1)
    match = judge_exactly([case(reply, truth)])["1"].scores["exact_match"]
    assert match == (normalised(reply) == normalised(truth))


def test_order_matters_for_a_match_only():
    found = judge_exactly([case("man bites dog", "dog bites man")])["1"]
    assert found.scores == {"exact_match": 0.0, "token_f1": 1.0}
    assert found.correct is False


def test_it_says_who_it_is_and_no_score_of_its_is_called_as_a_real_judges():
    cases = [case("yes", "yes", "a"), case("no", "yes", "b")]
    found = judge_exactly(cases)
    assert {verdict.judge for verdict in found.values()} == {"exact"}
    assert found["a"].scores == {"exact_match": 1.0, "token_f1": 1.0}
    assert found["b"].scores == {"exact_match": 0.0, "token_f1": 0.0}
    assert [verdict.correct for verdict in found.values()] == [True, False]


def test_a_case_with_two_replies_is_none_for_it():
    two = dict.fromkeys(["question_1", "question_2", "truth", "reply_1", "reply_2"], "x")
    with pytest.raises(SetupError, match="request 1: exact compares a reply with a truth"):
        judge_exactly([JudgeRequest("1", "vcg_consistency", two)])
