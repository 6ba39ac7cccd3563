"""Prompts, byte for byte as specified by the benchmarks' authors and the reference."""

import pytest

from qsv_eval.data.sample import Sample, SampleVideo
from qsv_eval.tasks.registry import task_named

QUESTION = "what is it"
MME_OPTIONS = ("A. Red.", "B. Green.", "C. Blue.", "D. White.")
PLAIN = ("Red", "Green")
SYSTEM_MVBENCH = (
    "Carefully watch the video and pay attention to the cause and sequence of events, the detail and movement of "
    "objects, and the action and pose of persons. Based on your observations, select the best option that accurately "
    "addresses the question.\n"
)
LETTER = "Answer with the option's letter from the given choices directly."
BLOCK = "Question: what is it\nOptions:\n(A) Red\n(B) Green"

PROMPTS = [
    (
        "qsv_videomme",
        MME_OPTIONS,
        "Select the best answer to the following multiple-choice question based on the video. Respond with only the "
        "letter (A, B, C, or D) of the correct option.\nwhat is it\nA. Red.\nB. Green.\nC. Blue.\nD. White.\n"
        "The best answer is:",
    ),
    (
        "qsv_videomme_sub",
        MME_OPTIONS,
        "This video's subtitles are listed below:\nNo subtitles available\nSelect the best answer to the following "
        "multiple-choice question based on the video and the subtitles. Respond with only the letter (A, B, C, or D) "
        "of the correct option.\nwhat is it\nA. Red.\nB. Green.\nC. Blue.\nD. White.\nThe best answer is:",
    ),
    (
        "qsv_videomme_reference",
        MME_OPTIONS,
        "Carefully read the following question and select the letter corresponding to the correct answer.Highlight the "
        "applicable choices without giving explanations.\nwhat is it\nOptions:\nA. Red.\nB. Green.\nC. Blue.\n"
        "D. White.",
    ),
    ("qsv_mvbench", PLAIN, f"{BLOCK}\nOnly give the best option."),
    ("qsv_mvbench_reference", PLAIN, BLOCK),
    ("qsv_mlvu", PLAIN, f"{BLOCK}\nOnly give the best option."),
    (
        "qsv_mlvu_reference",
        PLAIN,
        f"{BLOCK}\nRespond with only the letter (A, B, C or D) of the correct option.",
    ),
    ("qsv_nextqa", PLAIN, f"what is it\nA. Red\nB. Green\n{LETTER}"),
    (
        "qsv_nextqa_reference",
        PLAIN,
        "Carefully read the following question and select the letter corresponding to the correct answer. Highlight "
        "the applicable choices without giving explanations.\n Question: what is it\nOptions:\n A. Red\n B. Green",
    ),
    ("qsv_activitynetqa", (), "What is it? Answer the question using a single word or phrase."),
    (
        "qsv_activitynetqa_reference",
        (),
        "Please read the following question for the given video carefully an give a yes/no answer or a short phrase "
        "answer.\nQuestion: what is it",
    ),
    ("qsv_videochatgpt", (), "what is it"),
    ("qsv_egoschema", PLAIN, f"what is it\nA. Red\nB. Green\n{LETTER}"),
    ("qsv_longvideobench", PLAIN, f"what is it\nA. Red\nB. Green\n{LETTER}"),
    ("qsv_lvbench", PLAIN, "what is it\n(A) Red\n(B) Green\nAnswer the question with the option letter"),
    ("qsv_mme", (), "what is it\nAnswer the question using a single word or phrase."),
    ("qsv_pope", (), "what is it\nAnswer the question using a single word or phrase."),
    ("qsv_mmbench", PLAIN, f"what is it\nThere are several options:\nA. Red\nB. Green\n\n{LETTER}"),
    ("qsv_scienceqa", PLAIN, f"what is it\nA. Red\nB. Green\n{LETTER}"),
    ("qsv_chartqa", (), "what is it\nAnswer the question with a single word."),
    ("qsv_mmstar", (), "what is it\nAnswer with the option's letter from the given choices directly"),
]


@pytest.mark.parametrize(("task", "options", "text"), PROMPTS, ids=[name for name, *_ in PROMPTS])
def test_the_prompt(task, options, text):
    sample = Sample(id="1", question=QUESTION, options=options, video=SampleVideo(path="clip.mp4"))
    assert task_named(task).prompt(sample).text == text


def test_system_messages():
    sample = Sample(id="1", question=QUESTION, options=PLAIN)
    assert task_named("qsv_mvbench").prompt(sample).system == SYSTEM_MVBENCH
    assert task_named("qsv_mlvu").prompt(sample).system == (
        "Carefully watch this video and pay attention to every detail. Based on your observations, select the best "
        "option that accurately addresses the question."
    )
    assert task_named("qsv_mvbench_reference").prompt(sample).system == ""


def test_hints_come_first():
    sample = Sample(id="1", question=QUESTION, options=PLAIN, notes={"hint": "It is a fruit."})
    assert task_named("qsv_scienceqa").prompt(sample).text.startswith("Context: It is a fruit.\nwhat is it\n")
    assert task_named("qsv_mmbench").prompt(sample).text.startswith("It is a fruit.\nwhat is it\n")


def test_braces_in_a_question_stay():
    sample = Sample(id="1", question="{letter} or {0}?", options=("{option}", "{}"))
    assert task_named("qsv_nextqa").prompt(sample).text == "{letter} or {0}?\nA. {option}\nB. {}\n" + LETTER
