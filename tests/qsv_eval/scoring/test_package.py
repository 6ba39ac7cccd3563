"""The functions that the package exports."""

from qsv_eval.scoring import exact_match, extract_letter, extract_number, extract_yes_no


def test_answers_are_read_by_the_exported_functions():
    assert extract_letter("The answer is (C).", "ABCD", ["red", "blue", "green", "grey"]).answer == "C"
    assert extract_yes_no("Yes, it is.").answer == "yes"
    assert extract_number("It costs $12.").answer == "12"
    assert exact_match("Red.", ["red"]) == 1
