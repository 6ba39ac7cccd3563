"""Reply shapes and what is read from them: a number, or nothing."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsv_eval.data.sample import Sample
from qsv_eval.scoring.sample_result import Outcome, new_sample_result
from qsv_eval.scoring.scorers import NumberOrShort, Short
from qsv_eval.scoring.short_answer import (
    anls,
    cleaned,
    exact_match,
    extract_number,
    is_number,
    relaxed_accuracy,
    vqa_accuracy,
)

SHAPES = [
    ("42", "42", "number"),
    ("42.", "42", "number"),
    ("**42**", "42", "number"),
    (" -3 ", "-3", "number"),
    ("\u22123", "-3", "number"),
    ("0.5", "0.5", "number"),
    (".5", ".5", "number"),
    ("1,204", "1204", "number"),
    ("1,204,000.25", "1204000.25", "number"),
    ("42%", "42%", "number"),
    ("42 %", "42%", "number"),
    ("12 percent", "12%", "number"),
    ("$12", "12", "number"),
    ("\u20ac 12.50", "12.50", "number"),
    ("12 km", "12", "number"),
    ("about 12", "12", "number"),
    ("2.5 million", "2500000", "number"),
    ("\uff14\uff12", "42", "number"),
    ("three", "3", "number"),
    ("Three.", "3", "number"),
    ("forty-two", "42", "number"),
    ("two hundred and forty-two", "242", "number"),
    ("one thousand two hundred", "1200", "number"),
    ("zero", "0", "number"),
    ("<think>3 or 4?</think>4", "4", "number"),
    ("The answer is 42.", "42", "phrase"),
    ("Answer: 42%", "42%", "phrase"),
    ("In 2019 there were 3, in 2020 4. The answer is 7", "7", "phrase"),
    ("The answer is 3. No, the answer is 4.", "4", "phrase"),
    ("From 10 to 15, so the total is 25 units", "25", "phrase"),
    ("The value was about 3.5 in 2019", "3.5", "phrase"),
    ("There are three scenes in it.", "3", "mention"),
    ("I count 4 of them, so 4.", "4", "mention"),
    ("It rose by 12% over the year", "12%", "mention"),
    ("3 or 4", None, "several"),
    ("1. red 2. blue", None, "several"),
    ("In 2019 it was 12", None, "several"),
    ("12 and 12%", None, "several"),
    ("many", None, "none"),
    ("none of them", None, "none"),
    ("someone", None, "none"),
    ("often", None, "none"),
    ("A4", None, "none"),
    ("I cannot tell.", None, "none"),
    ("", None, "empty"),
    ("<think>42", None, "empty"),
]


@pytest.mark.parametrize(("reply", "number", "rule"), SHAPES)
def test_reply_shapes(reply, number, rule):
    assert extract_number(reply) == (number, rule)


@pytest.mark.parametrize(("text", "expected"), [("42", True), ("42%", True), ("red", False), ("2019 and 2020", False)])
def test_an_annotated_answer_is_a_number_or_not(text, expected):
    assert is_number(text) is expected


@given(st.integers(-(10**12), 10**12))
def test_any_number_is_itself(number):
    assert extract_number(f"{number}") == (str(number), "number")
    assert extract_number(f"The answer is {number:,}.") == (str(number), "phrase")


@settings(max_examples=2000, deadline=None)
@given(st.one_of(st.text(max_size=60), st.text("0123456789.,-% $onetw", max_size=30)))
def test_whatever_comes_a_number_is_one(reply):
    answer, _ = extract_number(reply)
    if answer is not None:
        float(answer.removesuffix("%"))


@pytest.mark.parametrize(
    ("reply", "answer", "outcome", "score", "as_authors"),
    [
        ("41", "42", Outcome.CORRECT, 1.0, 1.0),
        ("The answer is 42.", "42", Outcome.CORRECT, 1.0, 0.0),
        ("forty", "42", Outcome.CORRECT, 1.0, 0.0),
        ("30", "42", Outcome.WRONG, 0.0, 0.0),
        ("either 42 or 24", "42", Outcome.UNPARSED, 0.0, 0.0),
        ("many", "42", Outcome.UNPARSED, 0.0, 0.0),
        ("", "42", Outcome.EMPTY, 0.0, None),
        ("Red", "red", Outcome.CORRECT, 1.0, 1.0),
        ("The answer is red.", "red", Outcome.CORRECT, 1.0, 0.0),
    ],
)
def test_a_chart_is_graded_by_the_number_in_the_reply(reply, answer, outcome, score, as_authors):
    row = new_sample_result("qsv_chartqa", Sample(id="1", question="?", answer=answer), reply)
    reading = NumberOrShort(Short("relaxed accuracy", relaxed_accuracy)).read(row)
    assert (reading.outcome, reading.score, reading.reference_score) == (outcome, score, as_authors)


TEN = ["stop"] * 6 + ["halt"] * 3 + ["wait"]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("Stop.", "Stop"),
        ("The answer is stop.", "stop"),
        ("So the final answer is: 42", "42"),
        ("Answer: **stop**", "stop"),
        ("<think>go</think>stop", "stop"),
        ("U.S.", "U.S."),
        ("3.5", "3.5"),
        ("in the U.S.", "in the U.S."),
        ("It is red. It moves.", "It is red. It moves"),
        ('"stop"', "stop"),
        ("", ""),
    ],
)
def test_what_a_reader_takes_for_the_answer(reply, said):
    assert cleaned(reply) == said


@pytest.mark.parametrize(
    ("reply", "score"), [("Stop!", 1.0), ("HALT", 0.9), ("wait", 0.3), ("a stop", 1.0), ("go", 0.0)]
)
def test_vqa_accuracy_by_hand(reply, score):
    # halt: three say so, so the other seven see 3 of 3 and each of the three sees 2 of 3: (7 + 3 * 2/3) / 10.
    # wait: nine see 1 of 3, and the one who said it none: 9 / 3 / 10.
    assert vqa_accuracy(reply, TEN) == pytest.approx(score)


@pytest.mark.parametrize(
    ("reply", "answers", "score"),
    [
        ("ITC Limited", ["itc limited"], 1.0),
        ("ITC Limitd", ["ITC Limited"], 10 / 11),
        ("ITC", ["ITC Limited"], 0.0),
        ("abcd", ["abxx", "wxyz"], 0.5),
        ("two  words", ["two words"], 1.0),
        ("", ["abc"], 0.0),
        ("", [""], 1.0),
    ],
)
def test_anls_by_hand(reply, answers, score):
    assert anls(reply, answers) == pytest.approx(score)


@pytest.mark.parametrize(
    ("reply", "answer", "score"),
    [
        ("42", "40", 1.0),
        ("42.1", "40", 0.0),
        ("38", "40", 1.0),
        ("-42", "-40", 1.0),
        ("40%", "0.4", 1.0),
        ("40 %", "0.41", 1.0),
        ("1,050", "1000", 1.0),
        ("0", "0", 1.0),
        ("0.01", "0", 0.0),
        ("Red", "red", 1.0),
        ("red", "blue", 0.0),
        ("nan", "40", 0.0),
        ("40 people", "40", 0.0),
    ],
)
def test_relaxed_accuracy_by_hand(reply, answer, score):
    assert relaxed_accuracy(reply, [answer]) == score


@pytest.mark.parametrize(
    ("reply", "score"), [("A dog!", 0.0), ("Dog.", 1.0), ("  dog ", 1.0), ("do-g", 0.0), ("cat", 1.0)]
)
def test_exact_match_by_hand(reply, score):
    assert exact_match(reply, ["dog", "Cat"]) == score


def test_the_same_as_lmms_evals():
    from lmms_eval.api.metrics import anls as theirs
    from lmms_eval.tasks.chartqa.utils import relaxed_correctness

    draw = random.Random(0)
    for _ in range(2000):
        # Without white space: theirs measures lengths before folding it, and distances after.
        reply, *answers = ("".join(draw.choices("abcD", k=draw.randint(1, 9))) for _ in range(3))
        assert anls(reply, answers) == pytest.approx(theirs(answers, [reply])["anls"])
        said, right = (f"{draw.choice([0, 1, 7.5, 40, 41, 42, 100]):g}{draw.choice(['', '', '%'])}" for _ in range(2))
        if float(right.removesuffix("%")):
            assert relaxed_accuracy(said, [right]) == float(relaxed_correctness(said, right)), (said, right)


@settings(max_examples=1000, deadline=None)
@given(st.text(max_size=60), st.lists(st.text(max_size=20), min_size=1, max_size=10))
def test_nothing_crashes_and_grades_are_grades(reply, answers):
    for metric in (anls, relaxed_accuracy, exact_match, vqa_accuracy):
        assert 0 <= metric(cleaned(reply), answers) <= 1
        assert metric(answers[0], answers) >= 0
    assert exact_match(answers[0], answers) == 1
