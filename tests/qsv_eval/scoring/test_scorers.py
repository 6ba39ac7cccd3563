"""From a reply to an outcome, for every kind of answer."""

import pytest

from qsv_eval.data.sample import Sample
from qsv_eval.model_adapters.engine.failure import ERROR_REPLY
from qsv_eval.scoring.sample_result import new_sample_result
from qsv_eval.scoring.scorers import Choice, ChoiceOrShort, JudgedAnswer, Short, YesNo, as_reference, score_sample

OPTIONS = ("A. red", "B. green", "C. blue", "D. white")


def scored(scorer, reply, **fields):
    sample = Sample(id="1", question="Which?", **fields)
    return score_sample(new_sample_result("qsv_x", sample, reply, "cut short"), scorer)


@pytest.mark.parametrize(
    ("reply", "outcome", "score", "extracted"),
    [
        ("C", "correct", 1.0, "C"),
        ("The answer is (C).", "correct", 1.0, "C"),
        ("blue", "correct", 1.0, "C"),
        ("A", "wrong", 0.0, "A"),
        ("I see a man.", "unparsed", 0.0, None),
        ("", "empty", 0.0, None),
        ("<think>C</think>", "empty", 0.0, None),
        (ERROR_REPLY, "error", None, None),
    ],
)
def test_a_letter(reply, outcome, score, extracted):
    row = scored(Choice(), reply, options=OPTIONS, answer="C")
    assert (row["outcome"], row["score"], row["extracted"]) == (outcome, score, extracted)
    assert row["reason"] == ("cut short" if outcome == "error" else "")


def test_letters_are_as_many_as_the_options():
    assert scored(Choice(), "E", options=OPTIONS, answer="C")["outcome"] == "unparsed"
    assert scored(Choice(), "E", options=(*OPTIONS, "E. black"), answer="E")["outcome"] == "correct"
    assert scored(Choice(letters="ABCDE"), "E", answer="E")["outcome"] == "correct"


@pytest.mark.parametrize(("answer", "reason"), [("", "no published answer"), ("X", "'X' is not of ABCD")])
def test_without_a_usable_answer_there_is_no_score(answer, reason):
    row = scored(Choice(), "C", options=OPTIONS, answer=answer)
    assert (row["outcome"], row["score"], row["extracted"]) == ("unscored", None, "C")
    assert reason in row["reason"]


def test_the_references_reading_stands_beside_ours():
    row = scored(Choice(), "Best answer: C", options=OPTIONS, answer="C")
    assert (row["extracted"], row["score"]) == ("C", 1.0)
    assert (row["reference"], row["reference_score"]) == ("B", 0.0)
    other = as_reference(row)
    assert (other["outcome"], other["score"], other["extracted"]) == ("wrong", 0.0, "B")
    assert as_reference(scored(Choice(), "c", options=OPTIONS, answer="C"))["outcome"] == "unparsed"
    failed = scored(Choice(), ERROR_REPLY, options=OPTIONS, answer="C")
    assert as_reference(failed) == failed


@pytest.mark.parametrize(
    ("reply", "outcome"), [("Yes.", "correct"), ("no", "wrong"), ("", "empty"), ("It is red", "unparsed")]
)
def test_yes_or_no(reply, outcome):
    assert scored(YesNo(), reply, answer="yes")["outcome"] == outcome


def grade(reply, answers):
    return {"stop": 1.0, "stob": 0.75, "step": 0.25}.get(reply, 0.0)


@pytest.mark.parametrize(
    ("reply", "outcome", "score"),
    [("stop", "correct", 1.0), ("stob", "correct", 0.75), ("step", "wrong", 0.25), ("", "empty", 0.0)],
)
def test_a_graded_answer(reply, outcome, score):
    row = scored(Short("grade", grade), reply, answers=("stop",))
    assert (row["outcome"], row["score"]) == (outcome, score)


def test_a_short_answer_without_a_published_one():
    assert scored(Short("grade", grade), "stop")["outcome"] == "unscored"


def test_options_decide_what_is_read():
    scorer = ChoiceOrShort(Short("grade", grade))
    assert scored(scorer, "stop", answer="stop")["outcome"] == "correct"
    assert scored(scorer, "B", options=OPTIONS, answer="B")["extracted"] == "B"
    assert scorer.name.endswith("; without options grade")


def test_a_judge_is_waited_for_but_not_for_nothing():
    scorer = JudgedAnswer(lambda row: ["mlvu_summary"])
    waiting = scored(scorer, "A dog runs.", answer="It runs.")
    assert (waiting["outcome"], waiting["wanted"]) == ("unscored", ["mlvu_summary"])
    assert waiting["reason"] == "no judge was asked"
    nothing = scored(scorer, "", answer="It runs.")
    assert (nothing["outcome"], nothing["score"], nothing["verdicts"]) == ("empty", 0.0, {"mlvu_summary": 2.0})


def test_scoring_again_forgets_what_was_found_before():
    row = scored(Choice(), "C", options=OPTIONS, answer="C")
    assert score_sample(row | {"answer": "A"}, Choice())["outcome"] == "wrong"
    assert score_sample(row | {"outcome": "error", "reason": "old"}, Choice()) == row
