"""Reply shapes and what is read from them: a number, or nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsv_eval.data.sample import Sample
from qsv_eval.scoring.numeric import extract_number, is_number
from qsv_eval.scoring.outcome import Outcome
from qsv_eval.scoring.row import new_row
from qsv_eval.scoring.scorers import NumberOrShort, Short
from qsv_eval.scoring.short import relaxed_accuracy

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
    row = new_row("qsv_chartqa", Sample(id="1", question="?", answer=answer), reply)
    reading = NumberOrShort(Short("relaxed accuracy", relaxed_accuracy)).read(row)
    assert (reading.outcome, reading.score, reading.reference_score) == (outcome, score, as_authors)
