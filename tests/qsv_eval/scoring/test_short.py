"""Official metrics of short answers, against values worked out by hand and against lmms-eval's."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsv_eval.scoring.short import anls, cleaned, exact_match, relaxed_accuracy, vqa_accuracy

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
