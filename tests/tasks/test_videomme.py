"""The Video-MME tasks in lmms-eval: names, prompts, scores, stored results and printed tables."""

import json
import time
from collections import Counter

import pandas as pd
import pytest

from qsv_eval.model_adapters.engine.failure import ERROR_REPLY, note_failure
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.tasks.dataset import task_table

TASK, REFERENCE = "qsv_videomme", "qsv_videomme_reference"
FIELDS = ("duration", "domain", "sub_category", "task_type")


def right(doc):
    return doc["answer"]


@pytest.mark.parametrize("kind", ["chat", "simple"])
@pytest.mark.parametrize("task", [TASK, REFERENCE])
def test_a_model_that_is_always_right_scores_100(videomme, evaluate, task, kind):
    run = evaluate(task, right, kind=kind)
    assert run.metric(task, "accuracy") == 100.0
    assert run.metric(task, "accuracy_reference_extractor") == 100.0
    assert run.metric(task, "outcome")["counts"]["correct"] == 18
    assert run.metric(task, "outcome")["complete"]


def test_empty_replies_score_0_and_are_counted(videomme, evaluate):
    run = evaluate(TASK, lambda doc: "")
    assert run.metric(TASK, "accuracy") == 0.0
    assert run.metric(TASK, "outcome")["counts"] == Counter(empty=18) | dict.fromkeys(
        ("correct", "wrong", "unparsed", "error", "unscored"), 0
    )


def test_unparsed_replies_are_not_correct(videomme, evaluate):
    run = evaluate(TASK, lambda doc: "I see no such thing." if doc["question_id"] == "000-1" else right(doc))
    summary = run.metric(TASK, "outcome")
    assert summary["counts"]["unparsed"] == 1
    assert summary["unparsed_share"] == pytest.approx(100 / 18)
    assert run.metric(TASK, "accuracy") == summary["value"] == pytest.approx(100 * 17 / 18)


def test_a_constant_letter_scores_its_share_of_the_answers(videomme, evaluate):
    share = 100 * Counter(row["answer"] for row in videomme)["A"] / len(videomme)
    run = evaluate(TASK, lambda doc: "A")
    assert run.metric(TASK, "accuracy") == pytest.approx(share)


def test_the_two_extractors_are_reported_beside_each_other(videomme, evaluate):
    answers = Counter(row["answer"] for row in videomme)
    run = evaluate(TASK, lambda doc: "Best answer: C")
    assert run.metric(TASK, "accuracy") == pytest.approx(100 * answers["C"] / 18)
    assert run.metric(TASK, "accuracy_reference_extractor") == pytest.approx(100 * answers["B"] / 18)
    assert run.metric(TASK, "outcome")["disagreements"] == 18


def test_failures_leave_the_score_and_mark_it_incomplete(videomme, evaluate):
    failed = {"000-2", "004-1", "005-3"}
    note_failure(TASK, "004-1", "vid4.mp4: truncated")

    def answer(doc):
        return ERROR_REPLY if doc["question_id"] in failed else ("A" if doc["answer"] == "A" else "(B)")

    run = evaluate(TASK, answer)
    scored = [row for row in videomme if row["question_id"] not in failed]
    correct = sum(row["answer"] in "AB" for row in scored)
    summary = run.metric(TASK, "outcome")
    assert summary["counts"]["error"] == 3
    assert summary["n"] == 18
    assert run.metric(TASK, "accuracy") == summary["value"] == pytest.approx(100 * correct / 15)
    assert not summary["complete"]
    assert summary["lowest"] == pytest.approx(100 * correct / 18)
    assert summary["highest"] == pytest.approx(100 * (correct + 3) / 18)
    samples = {sample["outcome"]["id"]: sample["outcome"] for sample in run.results["samples"][TASK]}
    assert samples["004-1"]["reason"] == "vid4.mp4: truncated"
    assert samples["000-2"]["reason"]
    assert {sample for sample, row in samples.items() if row["outcome"] == "error"} == failed


def test_a_run_without_any_score_has_no_score(videomme, evaluate):
    from lmms_eval.utils import make_table

    run = evaluate(TASK, lambda doc: ERROR_REPLY)
    assert run.metric(TASK, "accuracy") is None
    assert run.metric(TASK, "accuracy_reference_extractor") is None
    assert (run.metric(TASK, "outcome")["lowest"], run.metric(TASK, "outcome")["highest"]) == (0.0, 100.0)
    assert "N/A" in make_table(run.results)


def test_the_breakdown_adds_up_to_the_headline(videomme, evaluate):
    run = evaluate(TASK, lambda doc: "A" if '"duration":"short"' in doc["sample"] else "It is (C).")
    summary = run.metric(TASK, "outcome")
    assert tuple(summary["breakdown"]) == FIELDS
    assert list(summary["breakdown"]["duration"]) == ["long", "medium", "short"]
    for field, groups in summary["breakdown"].items():
        assert {value: group["n"] for value, group in groups.items()} == Counter(row[field] for row in videomme)
        assert sum(group["n"] for group in groups.values()) == summary["n"]
        mean = sum(group["n"] * group["value"] for group in groups.values()) / summary["n"]
        assert mean == pytest.approx(summary["value"])


def test_the_standard_error_is_clustered_by_video_on_the_scale_of_the_score(videomme, evaluate):
    from lmms_eval.api.metrics import clustered_stderr

    run = evaluate(TASK, lambda doc: "A")
    scores = [100.0 * (row["answer"] == "A") for row in videomme]
    expected = clustered_stderr(scores, [row["videoID"] for row in videomme])
    assert expected > 1
    assert run.metric(TASK, "accuracy_stderr_clustered") == pytest.approx(expected)


def test_everything_is_stored_in_the_results_file(videomme, evaluate):
    from lmms_eval.utils import handle_non_serializable

    run = evaluate(TASK, lambda doc: ERROR_REPLY if doc["question_id"] == "000-1" else "A")
    # The same call as lmms-eval's tracker makes; NaN would not be JSON.
    stored = json.loads(json.dumps(run.results, default=handle_non_serializable), parse_constant=pytest.fail)
    results = stored["results"][TASK]
    assert results["outcome,none"] == run.metric(TASK, "outcome")
    assert results["outcome,none"]["breakdown"]["duration"]["long"]["n"] == 6
    assert results["accuracy,none"] == results["outcome,none"]["value"]
    assert [] not in results.values()
    sample = stored["samples"][TASK][1]["outcome"]
    assert sample == {
        "task": TASK,
        "id": "000-2",
        "cluster": "vid0",
        "groups": {
            "duration": "short",
            "domain": "Knowledge",
            "sub_category": "Geography",
            "task_type": "Action Reasoning",
        },
        "notes": {},
        "question": "What is seen in 0, 1?",
        "options": ["A. Red.", "B. Green.", "C. Blue.", "D. White."],
        "answer": "B",
        "answers": [],
        "reply": "A",
        "outcome": "wrong",
        "score": 0.0,
        "extracted": "A",
        "rule": "letter",
        "reference": "A",
        "reference_score": 0.0,
        "reason": "",
        "wanted": [],
        "verdicts": {},
    }


def test_the_printed_table_is_readable(videomme, evaluate):
    from lmms_eval.utils import make_table

    printed = make_table(evaluate(TASK, lambda doc: ERROR_REPLY if doc["question_id"] == "000-2" else "A").results)
    print(printed)
    (row,) = (line for line in printed.splitlines() if "|outcome " in line)
    assert "'counts': 6 correct, 11 wrong, 1 error, " in row
    assert "'complete': False, 'lowest': 33.3, 'highest': 38.9, " in row
    assert len(row) < 600


OFFICIAL = (
    "Select the best answer to the following multiple-choice question based on the video. Respond with only the letter "
    "(A, B, C, or D) of the correct option.\nWhat is seen in 0, 0?\nA. Red.\nB. Green.\nC. Blue.\nD. White.\n"
    "The best answer is:"
)
AUTHORS = (
    "Carefully read the following question and select the letter corresponding to the correct answer.Highlight the "
    "applicable choices without giving explanations.\nWhat is seen in 0, 0?\nOptions:\nA. Red.\nB. Green.\nC. Blue.\n"
    "D. White."
)


@pytest.mark.parametrize(("task", "prompt", "length"), [(TASK, OFFICIAL, 16), (REFERENCE, AUTHORS, 2048)])
def test_requests_carry_the_exact_prompt_the_video_and_complete_settings(
    videomme, evaluate, empty_machine, task, prompt, length
):
    settings = {
        "max_new_tokens": length,
        "do_sample": False,
        "temperature": 0.0,
        "top_p": 1.0,
        "num_beams": 1,
        "until": [],
    }
    path = str(empty_machine / "videomme" / "data" / "vid0.mp4")
    _, to_messages, chat_settings, *_ = evaluate(task, right, kind="chat").requests[0]
    content = [{"type": "video", "url": path}, {"type": "text", "text": prompt}]
    doc = task_table(task)[0]
    assert to_messages(doc) == [{"role": "user", "content": content}]
    text, simple_settings, to_visual, *_ = evaluate(task, right, kind="simple").requests[0]
    assert text == prompt
    assert to_visual(doc) == [path]
    assert chat_settings == simple_settings == settings


def test_odd_replies_never_stop_a_run(videomme, evaluate):
    odd = [None, "", "\0", "\ud800", "x" * 1_000_000, "(" * 10_000, "A" * 10_000, "\\boxed{", "[]", "⚠", "<think>"]
    run = evaluate(TASK, lambda doc: odd[sum(map(ord, doc["question_id"])) % len(odd)])
    assert run.metric(TASK, "outcome")["n"] == 18


def load(task, task_manager):
    from lmms_eval.tasks import get_task_dict

    started = time.perf_counter()
    with pytest.raises(SetupError) as caught:
        get_task_dict([task], task_manager, "chat")
    assert time.perf_counter() - started < 5, "lmms-eval tried again and again"
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_no_data_is_one_line_at_once(empty_machine, task_manager):
    message = load(TASK, task_manager)
    assert str(empty_machine) in message
    assert "videomme/videomme/*.parquet" in message
    assert "Set QSV_DATA" in message


def test_without_qsv_data_the_line_says_so(empty_machine, task_manager, monkeypatch):
    monkeypatch.delenv("QSV_DATA")
    assert "QSV_DATA is not set" in load(TASK, task_manager)


@pytest.mark.parametrize("task", [TASK, "qsv_demo"])
def test_a_data_root_that_is_not_there_is_named(empty_machine, task_manager, monkeypatch, task):
    monkeypatch.setenv("QSV_DATA", str(empty_machine / "typo"))
    assert "typo is not a folder" in load(task, task_manager)


def test_annotations_without_any_folder_of_videos_are_refused(videomme, task_manager, empty_machine):
    (empty_machine / "videomme" / "data").rename(empty_machine / "elsewhere")
    message = load(TASK, task_manager)
    assert "none of its 6 videos found" in message
    assert str(empty_machine / "videomme" / "data") in message


def test_a_damaged_table_is_named(videomme, task_manager, empty_machine):
    (file,) = (empty_machine / "videomme" / "videomme").glob("*.parquet")
    file.write_bytes(b"PAR1")
    assert str(file) in load(TASK, task_manager)
    pd.DataFrame(videomme).drop(columns=["answer", "task_type"]).to_parquet(file)
    assert "has no task_type, answer" in load(TASK, task_manager)
    pd.DataFrame(videomme).iloc[:0].to_parquet(file)
    assert "No rows" in load(TASK, task_manager)
