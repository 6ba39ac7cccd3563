"""The built-in sample benchmark as a task."""

from qsv_eval.demo import demo_records
from qsv_eval.tasks.dataset import task_table
from qsv_eval.tasks.demo.task import clip_folder

TASK = "qsv_demo"


def test_it_runs_without_any_data(empty_machine, evaluate, monkeypatch, tmp_path):
    monkeypatch.delenv("QSV_DATA")
    run = evaluate(TASK, lambda doc: doc["answer"])
    summary = run.metric(TASK, "outcome")
    assert summary["n"] == len(demo_records())
    assert run.metric(TASK, "accuracy") == 100.0
    assert set(summary["breakdown"]) == {"duration", "task_type"}
    assert not (tmp_path / "cache").exists(), "no clip is encoded before a model asks for it"


def test_only_the_clips_asked_for_are_made(empty_machine, evaluate):
    record = demo_records()[0]
    _, to_messages, settings, *_ = evaluate(TASK, lambda doc: "A", limit=1).requests[0]
    (turn,) = to_messages(task_table(TASK)[0])
    video, text = turn["content"]
    made = list((empty_machine / "demo").iterdir())
    assert [str(path) for path in made] == [video["url"]]
    assert text["text"] == "\n".join([record["question"], *record["options"], "Answer:"])
    assert settings["max_new_tokens"] == 32


def test_both_kinds_of_model_are_asked_the_same(empty_machine, evaluate):
    text, _, to_visual, *_ = evaluate(TASK, lambda doc: "A", limit=1, kind="simple").requests[0]
    _, to_messages, *_ = evaluate(TASK, lambda doc: "A", limit=1, kind="chat").requests[0]
    doc = task_table(TASK)[0]
    video, prompt = to_messages(doc)[0]["content"]
    assert (prompt["text"], [video["url"]]) == (text, to_visual(doc))


def test_data_that_cannot_be_written_sends_the_clips_to_the_cache(empty_machine, monkeypatch, tmp_path):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert clip_folder() == tmp_path / "cache" / "qsv_eval" / "demo"
