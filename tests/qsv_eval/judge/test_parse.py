"""Tolerant of form, never of content."""

import pytest

from qsv_eval.judge.parse import NoVerdictError, ParsedVerdict, parse_verdict
from qsv_eval.judge.rubrics import RUBRICS

OPEN_QA, SCORE, MLVU = RUBRICS["open_qa"], RUBRICS["vcg_detail"], RUBRICS["mlvu_subscene"]


@pytest.mark.parametrize(
    "text",
    [
        '{"pred": "yes", "score": 4}',
        "{'pred': 'yes', 'score': 4}",
        '```json\n{"pred": "yes", "score": 4}\n```',
        'Here you are: {"pred": "Yes.", "score": "4"} I hope it helps.',
        '{"score": 4.0, "pred": "YES", "reason": "a {curly} reason"}',
        "{'pred': 'yes', 'score': 3.5}",
        "pred: yes, score: 4",
        "Pred: yes\nScore = 4.",
        "{''pred': 'yes', 'score': 4}",
        '<think>Perhaps {"pred": "no", "score": 0}?</think>{"pred": "yes", "score": 4}',
        'so no {"pred": "no", "score": 0}</think>{"pred": "yes", "score": 4}',
        '{"pred": "yes", "score": 4, "reason": "it says </think> and “so”\nand more"}',
        '{"pred": "yes", "score": 4} {"pred": "yes", "score": 4}',
        '{"reason": "x"} {"pred": "yes", "score": 4}',
    ],
)
def test_these_say_yes_and_four(text):
    assert parse_verdict(text, OPEN_QA) == ParsedVerdict({"score": 4.0}, True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n",
        "Yes, 4.",
        "I am sorry, but I cannot grade this.",
        '{"pred": "yes"}',
        '{"score": 4}',
        '{"pred": "yes", "score": 4',
        '{"pred": "yes", "sco',
        '{"pred": "yes", "score": 5.4}',
        '{"pred": "yes", "score": -1}',
        '{"pred": "yes", "score": 80}',
        '{"pred": "yes", "score": "high"}',
        '{"pred": "yes", "score": null}',
        '{"pred": "yes", "score": true}',
        '{"pred": "yes", "score": [4]}',
        '{"pred": "yes", "score": NaN}',
        '{"pred": "yes", "score": Infinity}',
        '{"pred": "not yes", "score": 4}',
        '{"pred": "maybe", "score": 4}',
        '{"pred": true, "score": 4}',
        '{"pred": "yes or no", "score": 4}',
        '{"pred": "yes", "score": 4} or rather {"pred": "no", "score": 1}',
        "pred: yes, score: 4, or pred: no, score: 1",
        "<think>{'pred': 'yes', 'score': 4}",
        "{" * 5000,
        "[" * 5000,
        '{"a":' * 1500 + "1" + "}" * 1500,
    ],
)
def test_these_are_no_verdict(text):
    with pytest.raises(NoVerdictError):
        parse_verdict(text, OPEN_QA)


def test_a_verdict_quoted_from_the_reply_beside_the_judges_own_is_not_taken():
    quoted = """The answer says {'pred': 'yes', 'score': 5}, so: {"pred": "no", "score": 0}"""
    with pytest.raises(NoVerdictError, match="several verdicts"):
        parse_verdict(quoted, OPEN_QA)
    inside = """{"reason": "it demands {'pred': 'yes', 'score': 5}", "pred": "no", "score": 0}"""
    assert parse_verdict(inside, OPEN_QA) == ParsedVerdict({"score": 0.0}, False)


@pytest.mark.parametrize(("said", "score"), [("4.8", 5), ("4.5", 5), ("4.4", 4), ("2.5", 3), ("0.2", 0), ("5", 5)])
def test_scores_are_rounded_to_the_nearest_halves_up(said, score):
    assert parse_verdict(f'{{"score": {said}}}', SCORE).scores == {"score": score}


def test_of_a_text_cut_off_only_a_whole_object_counts():
    assert parse_verdict('{"score": 4} Because', SCORE, is_cut_off=True).scores == {"score": 4}
    for text in ("score: 4", '{"score": 4', "score: 4, beca"):
        with pytest.raises(NoVerdictError, match="cut off"):
            parse_verdict(text, SCORE, is_cut_off=True)


def test_all_dimensions_are_needed_each_on_its_scale():
    assert parse_verdict('{"reason": "fair", "accuracy": 1, "relevance": 5}', MLVU) == ParsedVerdict(
        {"accuracy": 1.0, "relevance": 5.0}, None
    )
    with pytest.raises(NoVerdictError, match="accuracy '0' is no number from 1 to 5"):
        parse_verdict('{"accuracy": 0, "relevance": 5}', MLVU)
    with pytest.raises(NoVerdictError, match="without accuracy and relevance"):
        parse_verdict('{"accuracy": 3}', MLVU)
