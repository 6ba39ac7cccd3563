"""What became of questions, counted."""

from qsv_eval.scoring.sample_result import Outcome, count_outcomes, outcome_name


def test_errors_and_what_cannot_be_scored_are_no_part_of_the_headline():
    assert [outcome for outcome in Outcome if not outcome.is_scored] == [Outcome.ERROR, Outcome.UNSCORED]


def test_all_six_are_always_there():
    assert count_outcomes([]) == dict.fromkeys(("correct", "wrong", "unparsed", "empty", "error", "unscored"), 0)
    assert count_outcomes(["correct", Outcome.CORRECT, "error"])["correct"] == 2


def test_only_what_occurred_is_named():
    assert outcome_name(count_outcomes(["correct", "error", "correct"])) == "2 correct, 1 error"
    assert outcome_name(count_outcomes([])) == ""
