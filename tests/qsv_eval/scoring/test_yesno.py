"""Reply shapes and what is read from them: yes, no, or nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsv_eval.scoring.yesno import extract_yes_no

SHAPES = [
    ("yes", "yes", "word"),
    ("Yes.", "yes", "word"),
    ("**No**", "no", "word"),
    ("NO!", "no", "word"),
    ("['yes']", "yes", "word"),
    ("True", "yes", "word"),
    ("是", "yes", "word"),
    ("没有。", "no", "word"),
    ("はい", "yes", "word"),
    ("\uff39\uff25\uff33", "yes", "word"),
    ("<think>No dog? But yes.</think>No", "no", "word"),
    ("Yes, there is a dog.", "yes", "beginning"),
    ("No, it isn't.", "no", "beginning"),
    ("no there is nothing", "no", "beginning"),
    ("Yes - on the left.", "yes", "beginning"),
    ("The answer is yes.", "yes", "phrase"),
    ("Answer: No", "no", "phrase"),
    ("The answer to the question is no.", "no", "phrase"),
    ("The answer is no. Wait, the answer is yes.", "yes", "phrase"),
    ("Final answer: **Yes**", "yes", "phrase"),
    ("答案\uff1a是", "yes", "phrase"),
    ("There is no dog.", "no", "statement"),
    ("There are not any dogs in the image.", "no", "statement"),
    ("There isn't a dog.", "no", "statement"),
    ("I don't think so.", "no", "statement"),
    ("It is not red.", "no", "statement"),
    ("I would say yes", "yes", "mention"),
    ("My guess would be no.", "no", "mention"),
    ("yes or no", None, "several"),
    ("It could be yes, it could be no.", None, "several"),
    ("Yes and no.", None, "several"),
    ("There is a dog.", None, "none"),
    ("I cannot tell.", None, "none"),
    ("No doubt about it.", "no", "mention"),
    ("nothing", None, "none"),
    ("Norway", None, "none"),
    ("yesterday", None, "none"),
    ("", None, "empty"),
    ("<think>yes</think>", None, "empty"),
    ("...", None, "none"),
]


@pytest.mark.parametrize(("reply", "answer", "rule"), SHAPES, ids=[reply[:30] for reply, *_ in SHAPES])
def test_a_shape(reply, answer, rule):
    assert extract_yes_no(reply) == (answer, rule)


@settings(max_examples=2000, deadline=None)
@given(st.text(max_size=200))
def test_no_text_crashes_and_nothing_is_read_from_nothing(text):
    answer, _ = extract_yes_no(text)
    assert answer in ("yes", "no", None)


@settings(max_examples=1000, deadline=None)
@given(st.text("abcdefgh .,!?\n", max_size=100))
def test_without_any_such_word_there_is_no_answer(text):
    assert extract_yes_no(text).answer is None


def test_a_megabyte_takes_its_time_and_no_more():
    assert extract_yes_no("the dog is here " * 65_000).answer is None
    assert extract_yes_no("no " * 350_000).answer == "no"
