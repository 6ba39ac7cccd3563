"""Letters of options."""

import pytest

from qsv_eval.data.letters import answer_letter, letter_options, split_options


def test_options_get_letters():
    assert letter_options(["red", "{x}"]) == ["A. red", "B. {x}"]
    assert letter_options(["red", "blue"], "({letter}) {option}") == ["(A) red", "(B) blue"]


def test_the_right_letter_is_the_only_one():
    assert answer_letter(["red", "blue"], "blue") == "B"
    assert answer_letter([1, 2], 2) == "B"
    assert answer_letter(["red", "red"], "red") == ""
    assert answer_letter(["red"], "blue") == ""


@pytest.mark.parametrize(
    ("text", "question", "options"),
    [
        ("What?\n(A) red\n(B) blue", "What?", ("red", "blue")),
        ("What?\nOptions:\nA. red\nB. blue\n", "What?", ("red", "blue")),
        ("What\nis it?\nA: red\nB: blue", "What\nis it?", ("red", "blue")),
        ("A. J. Smith, who?", "A. J. Smith, who?", ()),
        ("What?\n(B) red\n(C) blue", "What?\n(B) red\n(C) blue", ()),
        ("What?", "What?", ()),
        ("What?\nA. Smith", "What?\nA. Smith", ()),
        ("What?\nA. red\nC. blue", "What?\nA. red\nC. blue", ()),
        ("(A) red\n(B) blue", "", ("red", "blue")),
    ],
)
def test_options_are_taken_off_a_question(text, question, options):
    assert split_options(text) == (question, options)
