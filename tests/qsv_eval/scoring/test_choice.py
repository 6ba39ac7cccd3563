"""A reply's way to an outcome, without lmms-eval: every outcome, every odd input, and the summary by hand."""

import json
import pickle
import subprocess
import sys

import pytest

from qsv_eval.model_adapters.engine.failure import ERROR_REPLY, note_failure
from qsv_eval.scoring.breakdown import summarise
from qsv_eval.scoring.choice import ChoiceTask, mean_score

TASK = ChoiceTask(
    name="toy",
    prompt=lambda doc: doc["question"],
    media=lambda doc: f"/videos/{doc['video']}.mp4",
    cluster_field="video",
    group_fields=("kind",),
)
DOC = {
    "question_id": "q1",
    "video": "v1",
    "kind": "colour",
    "question": "Which?",
    "options": ["A. red", "B. green", "C. blue", "D. white"],
    "answer": "C",
}


def test_a_correct_reply():
    assert TASK.process_results(DOC, ["It is (C)."]) == {
        "accuracy": {"score": 100.0, "video": "v1", "outcome": "correct"},
        "accuracy_reference_extractor": {"score": 0.0, "video": "v1", "outcome": "correct"},
        "outcome": {
            "id": "q1",
            "outcome": "correct",
            "reply": "It is (C).",
            "extracted": "C",
            "rule": "mark",
            "answer": "C",
            "reference_extracted": "I",
            "reason": "",
            "kind": "colour",
        },
    }


@pytest.mark.parametrize(
    ("reply", "outcome", "score"),
    [
        ("C", "correct", 100.0),
        ("blue", "correct", 100.0),
        ("B", "wrong", 0.0),
        ("I see nothing.", "unparsed", 0.0),
        ("A or B", "unparsed", 0.0),
        ("", "empty", 0.0),
        ("<think>It is C", "empty", 0.0),
        (ERROR_REPLY, "error", None),
        (f" {ERROR_REPLY}\n", "error", None),
    ],
)
def test_each_outcome_has_its_score(reply, outcome, score):
    metrics = TASK.process_results(DOC, [reply])
    assert metrics["outcome"]["outcome"] == outcome
    assert metrics["accuracy"].get("score") == score
    assert ("score" in metrics["accuracy_reference_extractor"]) == (score is not None)


def test_an_error_carries_its_reason():
    note_failure("toy", "q1", "v1.mp4: missing")
    assert TASK.process_results(DOC, [ERROR_REPLY])["outcome"]["reason"] == "v1.mp4: missing"
    other = TASK.process_results(DOC | {"question_id": "q2"}, [ERROR_REPLY])["outcome"]
    assert other["reason"] == "not recorded in this process"
    assert (other["extracted"], other["reference_extracted"]) == (None, "")


@pytest.mark.parametrize("answer", [None, "", "E", "AB", 2, "c"])
def test_without_a_usable_answer_a_reply_is_unscored(answer):
    outcome = TASK.process_results(DOC | {"answer": answer}, ["C"])["outcome"]
    assert outcome["outcome"] == "unscored"
    assert "answer" in outcome["reason"]


@pytest.mark.parametrize(
    "results",
    [
        None,
        [],
        [None],
        [[]],
        [[None]],
        [["C"]],
        "C",
        42,
        [42],
        [{}],
        [b"C"],
        [("C", {"usage": 1})],
        ["\ud800"],
        ["\0"],
        ["C" * 1_000_000],
        ["(" * 1_000_000],
        ["[({" * 1000 + "C"],
        ["\\boxed{" * 1000],
        ["*" * 100_000],
    ],
)
@pytest.mark.parametrize(
    "doc",
    [
        DOC,
        {},
        {"answer": "C"},
        DOC | {"options": None},
        DOC | {"options": "ABCD"},
        DOC | {"options": [None, 3, ["x"], {}]},
        DOC | {"options": ["("] * 40},
        DOC | {"question_id": None, "kind": None, "video": None},
    ],
)
def test_nothing_raises(doc, results):
    metrics = TASK.process_results(doc, results)
    assert set(metrics) == {"accuracy", "accuracy_reference_extractor", "outcome"}
    assert TASK.summarise([metrics["outcome"]])["n"] == 1
    json.dumps(metrics)


def test_the_request_has_the_video_before_the_question():
    video = {"type": "video", "url": "/videos/v1.mp4"}
    assert TASK.doc_to_messages(DOC) == [{"role": "user", "content": [video, {"type": "text", "text": "Which?"}]}]
    assert TASK.doc_to_visual(DOC) == ["/videos/v1.mp4"]


def test_the_mean_is_over_what_was_scored():
    assert mean_score([{"score": 100.0}, {"score": 0.0}, {"outcome": "error"}]) == 50.0
    assert mean_score([{"outcome": "error"}]) is None
    assert mean_score([]) is None


def rows():
    replies = [
        ("q1", "C", "x"),
        ("q2", "B", "x"),
        ("q3", "Best answer: C", "y"),
        ("q4", ERROR_REPLY, "y"),
        ("q5", "", "z"),
    ]
    docs = [(DOC | {"question_id": name, "kind": kind}, reply) for name, reply, kind in replies]
    return [TASK.process_results(doc, [reply])["outcome"] for doc, reply in docs]


def test_the_summary_by_hand():
    summary = summarise(rows(), ("kind",))
    assert summary["n"] == 5
    assert summary["counts"] == {"correct": 2, "wrong": 1, "unparsed": 0, "empty": 1, "error": 1, "unscored": 0}
    assert (summary["accuracy"], summary["lowest"], summary["highest"]) == (50.0, 40.0, 60.0)
    assert summary["complete"] is False
    assert summary["disagreements"] == 1
    kinds = summary["breakdown"]["kind"]
    assert {kind: (group["n"], group["accuracy"]) for kind, group in kinds.items()} == {
        "x": (2, 50.0),
        "y": (2, 100.0),
        "z": (1, 0.0),
    }
    assert (kinds["y"]["lowest"], kinds["y"]["highest"]) == (50.0, 100.0)
    assert str(summary) == "5 asked: 2 correct, 1 wrong, 1 empty, 1 error (incomplete: 40.0\u201360.0)"


def test_the_summary_does_not_depend_on_the_order_of_processes():
    assert json.dumps(summarise(rows(), ("kind",))) == json.dumps(summarise(rows()[::-1], ("kind",)))


def test_the_summary_is_plain_json_in_full_and_can_be_sent():
    summary = summarise([*rows(), rows()[0]], ("kind",))
    assert summary["accuracy"] == 60.0
    for indent in (None, 2):
        assert json.loads(json.dumps(summary, indent=indent)) == summary
    third = json.dumps(summarise(rows()[:2] + rows()[4:], ("kind",)))
    assert '"accuracy": 33.33333333333333' in third
    assert pickle.loads(pickle.dumps(summary)) == summary


def test_no_rows_make_no_score():
    summary = summarise([], ("kind",))
    assert summary["accuracy"] is summary["unparsed_share"] is None
    assert summary["breakdown"] == {"kind": {}}
    assert str(summary) == "none asked"


def test_scoring_loads_neither_torch_nor_lmms_eval():
    code = (
        "import sys, qsv_eval.scoring.videomme, qsv_eval.scoring.demo;"
        "sys.exit(bool({'torch', 'lmms_eval', 'datasets'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
