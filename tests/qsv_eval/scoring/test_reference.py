"""The reference's extractor, row by row as spec/benchmarks.md section 1.1 saw the reference run, beside ours."""

import pytest

from qsv_eval.scoring.extract import extract_letter
from qsv_eval.scoring.reference import reference_letter

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
