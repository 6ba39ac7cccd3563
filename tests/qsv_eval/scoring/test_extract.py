"""Replies as models write them, and what a careful reader takes from each."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsv_eval.model_adapters.engine.failure import ERROR_REPLY
from qsv_eval.scoring.extract import LetterMatch, extract_letter, reference_letter
from qsv_eval.scoring.normalize import visible_text, words

OPTIONS = ["A. red", "B. green", "C. blue", "D. None of the above"]

SHAPES = [
    # a letter and nothing else
    ("C", "C", "letter"),
    ("(C)", "C", "letter"),
    ("[C]", "C", "letter"),
    ("{C}", "C", "letter"),
    ("C.", "C", "letter"),
    ("C:", "C", "letter"),
    ("C)", "C", "letter"),
    ("'C'", "C", "letter"),
    ('"C"', "C", "letter"),
    ("['C']", "C", "letter"),
    ("**C**", "C", "letter"),
    ("__C__", "C", "letter"),
    ("`C`", "C", "letter"),
    ("$\\boxed{C}$", "C", "letter"),
    ("\\boxed{\\text{C}}", "C", "letter"),
    ("<answer>C</answer>", "C", "letter"),
    ("  C\n\n", "C", "letter"),
    ("c", "C", "letter"),
    ("(c)", "C", "letter"),
    ("c.", "C", "letter"),
    ("a", "A", "letter"),
    ("A", "A", "letter"),
    ("\uff23", "C", "letter"),  # full-width
    ("\uff08\uff23\uff09", "C", "letter"),
    ("\u24b8", "C", "letter"),  # circled
    ("C。", "C", "letter"),
    ("\ufeffC", "C", "letter"),
    ("C C C", "C", "letter"),
    # a letter with a text
    ("C. The man leaves", "C", "mark"),
    ("C) The man leaves", "C", "mark"),
    ("(C) The man leaves", "C", "mark"),
    ("[C] The man leaves", "C", "mark"),
    ("C: The man leaves", "C", "mark"),
    ("C - The man leaves", "C", "mark"),
    ("C \u2014 The man leaves", "C", "mark"),
    ("C, the man leaves", "C", "mark"),
    ("C.The man leaves", "C", "mark"),
    ("C、男人离开", "C", "mark"),
    ("C\nThe man leaves.", "C", "mark"),
    ("C because the man leaves", "C", "mark"),
    ("- C. The man leaves", "C", "mark"),
    ("The man leaves.\nC", "C", "mark"),
    ("The man leaves (C).", "C", "mark"),
    ("Option C", "C", "mark"),
    ("Option C: the man leaves", "C", "mark"),
    ("选项C", "C", "mark"),
    ("I think it is (D) blue", "D", "mark"),
    ("A. A man leaves", "A", "mark"),
    # a letter named as the answer
    ("Answer: C", "C", "phrase"),
    ("answer: c", "C", "phrase"),
    ("ANSWER: C", "C", "phrase"),
    ("Answer C", "C", "phrase"),
    ("Answer: C. blue", "C", "phrase"),
    ("Answer:\nC", "C", "phrase"),
    ("The answer is C", "C", "phrase"),
    ("The answer is (C)", "C", "phrase"),
    ("The answer is (c)", "C", "phrase"),
    ("The answer is c.", "C", "phrase"),
    ("The answer is **C**.", "C", "phrase"),
    ("The answer is option C.", "C", "phrase"),
    ("The answer is A", "A", "phrase"),
    ("The answer is A because he leaves", "A", "phrase"),
    ("The best answer is: C", "C", "phrase"),
    ("The correct answer is most likely C.", "C", "phrase"),
    ("The answer to the question is C", "C", "phrase"),
    ("The final answer is $\\boxed{C}$.", "C", "phrase"),
    ("The correct option is C", "C", "phrase"),
    ("The best choice would be C.", "C", "phrase"),
    ("Best answer: C", "C", "phrase"),
    ("Best option: (C)", "C", "phrase"),
    ("Ground truth: C", "C", "phrase"),
    ("It blinks. <answer>C</answer>", "C", "phrase"),
    ('{"answer": "C"}', "C", "phrase"),
    ("I choose C", "C", "phrase"),
    ("I would go with option C", "C", "phrase"),
    ("C is the correct answer.", "C", "phrase"),
    ("Option C is correct", "C", "phrase"),
    ("A is correct", "A", "phrase"),
    ("It must be C.", "C", "phrase"),
    ("It's C", "C", "phrase"),
    ("So the colour => C", "C", "phrase"),
    ("So the colour \u2192 C", "C", "phrase"),
    ("The answer is \u201cC\u201d", "C", "phrase"),
    ("A man is shown. The answer is C.", "C", "phrase"),
    ("B. At first I thought so, but the answer is C.", "C", "phrase"),
    ("The answer is A. No, wait. The answer is C.", "C", "phrase"),
    ("(A) is wrong, (B) is wrong, so the answer is (C)", "C", "phrase"),
    ("A is wrong, B is wrong, C is correct.", "C", "phrase"),
    ("The options are A. red, B. green. I pick B.", "B", "phrase"),
    ("The answer is C, not B.", "C", "phrase"),
    ("答案是C", "C", "phrase"),
    ("答案\uff1aC", "C", "phrase"),
    ("正确答案是\uff08C\uff09。", "C", "phrase"),
    ("答案应该是 C\uff0c因为他离开了", "C", "phrase"),
    ("我选C", "C", "phrase"),
    ("正解はC", "C", "phrase"),
    ("정답은 C", "C", "phrase"),
    # thinking is not the reply
    ("<think>A or B</think> C", "C", "letter"),
    ("<think>The answer is A.</think>\n\nThe answer is C.", "C", "phrase"),
    ("<think>A</think><think>B</think>C", "C", "letter"),
    ("So it is A after all.</think> C", "C", "letter"),
    ("C<think>or A", "C", "letter"),
    ("<think>The answer is A", None, "empty"),
    ("<think></think>", None, "empty"),
    # nothing at all
    ("", None, "empty"),
    (" \n\t ", None, "empty"),
    # letters that are no choice
    ("It is red", None, "none"),
    ("Because it is red", None, "none"),
    ("A man is shown", None, "none"),
    ("A Chinese man is shown", None, "none"),
    ("The answer is A man with a hat", None, "none"),
    ("The answer is a", None, "none"),
    ("The answer: a man", None, "none"),
    ("a man", None, "none"),
    ("DAB", None, "none"),
    ("Apples", None, "none"),
    ("Vitamin C.", None, "none"),
    ("The plan B failed", None, "none"),
    ("A. J. Smith walks in", None, "none"),
    ("D.C. at night", None, "none"),
    ("The B's", None, "none"),
    ("The B\u2019s", None, "none"),
    ("E", None, "none"),
    ("Answer: E", None, "none"),
    ("The answer is not C", None, "none"),
    ("It is not (C)", None, "none"),
    ("(C) is wrong", None, "none"),
    ("Option C is incorrect", None, "none"),
    ("I cannot tell from the video.", None, "none"),
    ("As an AI, I can't watch videos.", None, "none"),
    ("I'm sorry, but I can't help. Could you send the video?", None, "none"),
    ("All of the above", None, "none"),
    ("!!!!!!!!", None, "none"),
    ("42", None, "none"),
    (ERROR_REPLY, None, "none"),
    # more than one choice
    ("A or B", None, "several"),
    ("A, B", None, "several"),
    ("A and C", None, "several"),
    ("Both A and C", None, "several"),
    ("A B C D", None, "several"),
    ("(A) (B)", None, "several"),
    ("A. red\nB. green\nC. blue\nD. white", None, "several"),
    ("A. red B. green C. blue D. white", None, "several"),
    ("The answer is C or D", None, "several"),
    ("The answer is (C) or (D).", None, "several"),
    ("The answer is A, B and C.", None, "several"),
    ("Option A shows a man, option B shows a dog", None, "several"),
    ("It could be (A), but also (B)", None, "several"),
    ("Either A or B may fit", None, "several"),
    # an option's own words
    ("C. blue", "C", "option text"),
    ("c) Blue.", "C", "option text"),
    ("C blue", "C", "option text"),
    ("A red", "A", "option text"),
    ("Blue", "C", "option text"),
    ("blue.", "C", "option text"),
    ("None of the above", "D", "option text"),
]


@pytest.mark.parametrize(("reply", "letter", "rule"), SHAPES)
def test_it_reads_what_a_careful_reader_reads(reply, letter, rule):
    assert extract_letter(reply, options=OPTIONS) == LetterMatch(letter, rule)


def test_the_table_is_long_and_names_each_shape_once():
    assert len({reply for reply, *_ in SHAPES}) == len(SHAPES) >= 60


def test_without_options_their_text_is_no_answer():
    assert extract_letter("blue") == LetterMatch(None, "none")
    assert extract_letter("None of the above") == LetterMatch(None, "none")


def test_an_option_that_is_a_letter_does_not_confuse():
    assert extract_letter("B", options=["A. B", "B. C", "C. D", "D. A"]).answer == "B"


def test_two_options_of_one_text_choose_neither():
    assert extract_letter("five", options=["A. five", "B. Five!", "C. six"]).answer is None
    assert extract_letter("5", options=["A. 5", "B. -5"]).answer is None


@pytest.mark.parametrize("options", [(), ("red",), ("A.", "B. ?"), OPTIONS * 3])
def test_odd_options_do_no_harm(options):
    assert extract_letter("The answer is (B)", options=options).answer == "B"


@pytest.mark.parametrize(
    ("letters", "reply", "letter"),
    [
        ("ABCDE", "Answer: E", "E"),
        ("AB", "Answer: C", None),
        ("AB", "The answer is (A) yes", "A"),
        ("ABCDEFGHIJ", "I think it is red", None),
        ("ABCDEFGHIJ", "The answer is I", "I"),
        ("ABCDEFGHIJ", "I choose J", "J"),
        ("A", "The answer is A", "A"),
    ],
)
def test_other_sets_of_letters(letters, reply, letter):
    assert extract_letter(reply, letters).answer == letter


@pytest.mark.parametrize("options", [(), OPTIONS])
def test_the_letter_is_always_one_of_the_letters(options):
    for reply, *_ in SHAPES:
        for letters in ("AB", "ABC", "ABCD", "ABCDEFGHIJ"):
            assert extract_letter(reply, letters, options).answer in {None, *letters}


@pytest.mark.parametrize(
    "unit",
    ["<think>", "answer ", "answer to ", "(", "A. ", "C or ", ": A", '"', "not (a) ", "答案是", "C is the ", "\n"],
)
def test_a_long_reply_takes_seconds_at_most(unit):
    # The patterns promise time in proportion to the length; a quadratic one would take hours here.
    started = time.perf_counter()
    extract_letter(unit * (300_000 // len(unit)))
    assert time.perf_counter() - started < 10


FRAGMENTS = st.sampled_from(
    [
        *"ABCDEabcd'\n",
        *("(B)", "A.", "C:", "**D**", "\\boxed{B}", "U.S.", "<think>", "</think>", "答案是", "選"),
        *("The answer is", "Answer:", "not", "or", "and", "is wrong", "I choose"),
        *("red", "blue", "Because", "It is", "a man"),
    ]
)


def is_supported(reply: str, letter: str, rule: str, options) -> bool:
    """Whether the letter stands by itself in what a reader sees, or its option's text does."""
    seen = visible_text(reply)
    if rule == "option text":
        return any(word.casefold() in seen.casefold() for word in words(options["ABCDE".index(letter)]))
    return re.search(rf"(?<![A-Za-z0-9])[{letter}{letter.lower()}](?![A-Za-z0-9])", seen) is not None


@settings(max_examples=7000, deadline=None)
@given(st.lists(FRAGMENTS, max_size=12).map(" ".join), st.booleans())
def test_no_letter_without_support(reply, with_options):
    options = OPTIONS if with_options else ()
    answer, rule = extract_letter(reply, "ABCD", options)
    assert answer in {*"ABCD", None}
    assert answer is None or is_supported(reply, answer, rule, options), (reply, answer, rule)


@settings(max_examples=3000, deadline=None)
@given(st.text(max_size=300))
def test_no_text_whatever_gives_a_letter_without_support(reply):
    answer, rule = extract_letter(reply, "ABCDEFGHIJ")
    assert answer is None or is_supported(reply, answer, rule, ())


TABLE = [
    ("C", "C", "C"),
    ("(C)", "C", "C"),
    ("C. red", "C", "C"),
    ("The answer is C", "C", "C"),
    ("Answer: C", "C", "C"),
    ("Option C", "C", "C"),
    ("['C']", "C", "C"),
    ("Best answer: C", "B", "C"),
    ("Best option: (C)", "B", "C"),
    ("I think it is (D) blue", "I", "D"),
    ("Ground truth: B", "G", "B"),
    ("It is red", "I", None),
    ("Because it is red", "B", None),
    ("A man is shown. The answer is C.", "A", "C"),
    ("<think>A or B</think> C", "A", "C"),
    ("c", "", "C"),
    ("None of the above", "", None),
]


@pytest.mark.parametrize(("reply", "reference", "ours"), TABLE)
def test_every_row_of_the_table(reply, reference, ours):
    assert reference_letter(reply) == reference
    assert extract_letter(reply).answer == ours


@pytest.mark.parametrize("reply", ["", "   ", "no capitals " * 20])
def test_no_capital_gives_nothing(reply):
    assert reference_letter(reply) == ""


def test_the_fused_phrases_are_never_removed():
    assert reference_letter("The best option is B") == "B"
    assert reference_letter("The correct option is B") == "B"
    assert reference_letter("Best option: D") == "B"


def test_letters_beyond_the_options_count():
    assert reference_letter("J") == "J"
    assert reference_letter("K") == ""
