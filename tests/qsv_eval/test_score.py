"""`qsv-eval score`: saved replies scored again, without a model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from judge_server import Answer, JudgeServer
from typer.testing import CliRunner

from qsv_eval.cli import app
from qsv_eval.data.sample import Sample
from qsv_eval.model_adapters.engine.failure import ERROR_REPLY
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.protocol_diff import protocol_of
from qsv_eval.score import saved_rows, score_run
from qsv_eval.scoring.sample_result import new_sample_result
from qsv_eval.scoring.scorers import score_sample
from qsv_eval.tasks.registry import task_named

GROUPS = {"duration": "short", "domain": "Knowledge", "sub_category": "Law", "task_type": "OCR Problems"}
OPTIONS = ("A. red", "B. green", "C. blue", "D. white")


def save(folder: Path, task: str, rows, stamp="20261101_000000") -> None:
    """Write samples and results as a run leaves them."""
    place = folder / "model"
    place.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"doc_id": n, "outcome": row}) for n, row in enumerate(rows)]
    (place / f"{stamp}_samples_{task}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    protocol = task_named(task).protocol().as_dict() | {"answers": {"checkpoint": "abc"}, "hash": "old"}
    (place / f"{stamp}_results.json").write_text(json.dumps({"results": {}, "protocols": {task: protocol}}))


def choices(*replies):
    task = task_named("qsv_videomme")
    samples = [
        Sample(id=f"{n}", question="Which?", options=OPTIONS, answer="C", cluster=f"v{n // 2}", groups=GROUPS)
        for n in range(len(replies))
    ]
    return [
        score_sample(new_sample_result(task.name, sample, reply, "cut"), task.scorer)
        for sample, reply in zip(samples, replies, strict=True)
    ]


def opens(*replies):
    task = task_named("qsv_activitynetqa")
    samples = [
        Sample(id=f"{n}", question="What?", answer="a dog", groups={"kind": "object"}) for n in range(len(replies))
    ]
    return [
        score_sample(new_sample_result(task.name, sample, reply), task.scorer)
        for sample, reply in zip(samples, replies, strict=True)
    ]


def test_the_same_replies_give_the_same_score(tmp_path):
    rows = choices("C", "A", "hm", "", ERROR_REPLY)
    save(tmp_path, "qsv_videomme", rows)
    scored = score_run(tmp_path)
    summary = scored.summaries["qsv_videomme"]
    assert summary["value"] == 25.0
    assert not scored.complete
    assert saved_rows(tmp_path)["qsv_videomme"] == rows
    assert saved_rows(tmp_path)["qsv_videomme"][4]["reason"] == "cut"
    stored = json.loads(scored.results_file.read_text())
    assert stored["results"]["qsv_videomme"]["outcome,none"]["value"] == 25.0
    assert stored["rescored"] == {"extractor": "strict", "judge": None}


def test_the_protocol_is_the_replies_with_the_new_scoring(tmp_path):
    save(tmp_path, "qsv_videomme", choices("C", "Best answer: C"))
    ours, theirs = (score_run_at(tmp_path, extractor) for extractor in ("strict", "reference"))
    assert ours["protocol"]["answers"] == theirs["protocol"]["answers"] == {"checkpoint": "abc"}
    assert theirs["protocol"]["scoring"]["extractor"] == "reference"
    assert len({ours["protocol"]["hash"], theirs["protocol"]["hash"], "old"}) == 3
    assert (ours["value"], theirs["value"]) == (100.0, 50.0)


def score_run_at(folder, extractor):
    scored = score_run(folder, extractor=extractor)
    # In the same second another scoring would have the same name.
    scored.results_file.rename(scored.results_file.with_name(f"{extractor}_results.json"))
    return scored.summaries["qsv_videomme"]


def test_the_newest_replies_of_each_task_count(tmp_path):
    save(tmp_path, "qsv_videomme", choices("A", "A"))
    save(tmp_path, "qsv_videomme", choices("C", "C"), stamp="20261102_000000")
    save(tmp_path, "qsv_activitynetqa", opens("a dog"))
    found = saved_rows(tmp_path)
    assert sorted(found) == ["qsv_activitynetqa", "qsv_videomme"]
    assert {row["reply"] for row in found["qsv_videomme"]} == {"C"}


def marked_run(folder: Path, *replies: str) -> Path:
    save(folder, "qsv_videomme", choices(*replies))
    (folder / "run.json").write_text("{}")
    return folder


def test_of_several_runs_none_is_taken_for_the_others(tmp_path):
    """The folder of a sweep over checkpoints: the newest samples would be those of the last one."""
    one, two = (marked_run(tmp_path / name, reply) for name, reply in (("one", "C"), ("two", "A")))
    for wrong in (["score"], ["agreement", "--judge-model", "a", "--other-model", "b"]):
        done = CliRunner().invoke(app, [wrong[0], str(tmp_path), *wrong[1:]])
        assert isinstance(done.exception, SetupError)
        assert f"name one of: {one}, {two}" in str(done.exception)
    assert not list(tmp_path.glob("*_results.json"))
    with pytest.raises(SetupError, match="holds 2 runs"):
        protocol_of("videomme", tmp_path)
    assert [score_run(run).summaries["qsv_videomme"]["value"] for run in (one, two)] == [100.0, 0.0]


def test_a_run_that_is_named_from_above_is_scored_in_its_own_folder(tmp_path):
    run = marked_run(tmp_path / "sweep" / "checkpoint", "C", "A")
    assert score_run(tmp_path / "sweep").results_file.parent == run


def test_a_judge_scores_what_a_run_left_unscored_and_is_asked_once(tmp_path, monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    save(tmp_path, "qsv_activitynetqa", opens("a dog", "a cat", "", "the dog"))
    with JudgeServer().running() as server:
        yes = '{"pred": "yes", "score": 5}'
        no = '{"pred": "no", "score": 1}'
        server.answer = lambda seen: Answer(yes if "dog" in seen.case["predicted_answer"] else no)
        words = ["score", str(tmp_path), "--judge-model", "local", "--judge-url", server.url]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        assert "judge local: 0 known, 3 calls, 0 failed" in done.output
        for file in tmp_path.glob("*_results.json"):
            summary = json.loads(file.read_text())["results"]["qsv_activitynetqa"]["outcome,none"]
            file.rename(tmp_path / "first_results.json")
        again = CliRunner().invoke(app, words)
        assert "judge local: 3 known, 0 calls, 0 failed" in again.output
        assert len(server.requests) == 3
    assert summary["value"] == 50.0
    assert summary["counts"]["empty"] == 1
    assert summary["exact"] == {"n": 4, "exact_match": 50.0, "token_f1": pytest.approx(50.0)}
    assert summary["protocol"]["scoring"]["judge"] == "local"
    assert summary["judge"]["model"] == "local"


def test_two_judges_are_compared(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    save(tmp_path, "qsv_activitynetqa", opens("one", "two", "three", "four"))
    with JudgeServer().running() as server:

        def answer(seen):
            strict = seen.body["model"] == "strict"
            yes = seen.case["predicted_answer"] in (("one",) if strict else ("one", "two"))
            return Answer(json.dumps({"pred": "yes" if yes else "no", "score": 5 if yes else 0}))

        server.answer = answer
        words = ["agreement", str(tmp_path), "--judge-model", "strict", "--other-model", "mild"]
        done = CliRunner().invoke(app, [*words, "--judge-url", server.url])
    assert done.exit_code == 0, done.output
    assert "yes or no" in done.output
    assert "0.500" in done.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["score", "empty"], "empty: no saved replies of our tasks"),
        (["score", "open", "--extractor", "reference"], "qsv_activitynetqa: has no letters"),
        (
            ["agreement", "empty", "--judge-model", "a", "--other-model", "b"],
            "no saved replies that a judge would score",
        ),
        (["score", "open", "--judge-model", "m", "--judge-price", "free"], "judge: price"),
        (["protocol", "videomme", "--run", "empty"], "empty: has no results of qsv_videomme"),
        (["protocol", "nothing"], "nothing is lmms-eval's own"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    save(tmp_path / "open", "qsv_activitynetqa", opens("a dog"))
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, SetupError)
    assert says in str(done.exception)


def test_protocols_of_two_runs_side_by_side(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    save(tmp_path / "a", "qsv_videomme", choices("C"))
    save(tmp_path / "b", "qsv_videomme", choices("C"))
    equal = CliRunner().invoke(
        app, ["protocol", "videomme", "--run", str(tmp_path / "a"), "--against", str(tmp_path / "b")]
    )
    assert "the protocols are equal" in equal.output
    [file] = (tmp_path / "b").rglob("*_results.json")
    record = json.loads(file.read_text())
    record["protocols"]["qsv_videomme"]["answers"] = {"checkpoint": "xyz"}
    file.write_text(json.dumps(record))
    differ = CliRunner().invoke(
        app, ["protocol", "videomme", "--run", str(tmp_path / "a"), "--against", str(tmp_path / "b")]
    )
    assert "answers.checkpoint" in differ.output
    now = CliRunner().invoke(app, ["protocol", "qsv_mvbench"])
    assert "{option A}" in json.loads(now.stdout)["prompt"]


def test_no_model_is_loaded_to_score(tmp_path):
    """A run scored from outside: neither torch nor lmms-eval is imported."""
    save(tmp_path, "qsv_videomme", choices("C", "A"))
    code = (
        "import sys; from pathlib import Path; from qsv_eval.score import score_run; "
        f"score_run(Path({str(tmp_path)!r})); print(sorted({{'torch', 'lmms_eval'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "[]"


def test_a_test_set_gives_a_file_for_its_server(tmp_path):
    task = task_named("qsv_mlvu_test")
    samples = [
        Sample(id=f"Q{n}", question="Which?", options=tuple("uvwxyz"), groups={"task": "sportsQA"}) for n in range(2)
    ]
    rows = [
        score_sample(new_sample_result(task.name, sample, reply), task.scorer)
        for sample, reply in zip(samples, ("(F)", "hm"), strict=True)
    ]
    save(tmp_path, task.name, rows)
    scored = score_run(tmp_path)
    assert scored.summaries[task.name]["counts"]["unscored"] == 2
    [file] = tmp_path.glob("*_submission_qsv_mlvu_test.json")
    assert json.loads(file.read_text()) == [
        {"question_id": "Q0", "question_type": "sportsQA", "option": "F"},
        {"question_id": "Q1", "question_type": "sportsQA", "option": ""},
    ]
