"""Every task, run by lmms-eval on small copies of the official data, with models that know the answers."""

from collections import Counter
from pathlib import Path

import pytest
from official import VIDEO_LAYOUTS
from official_images import write_tables

from qsv_eval.data.prepare import prepare
from qsv_eval.data.sample import Sample
from qsv_eval.scoring.scorers import JudgedAnswer
from qsv_eval.tasks import task_files
from qsv_eval.tasks.registry import benchmark_named, task_named

PREPARED = {layout.benchmark: layout for layout in reversed(VIDEO_LAYOUTS)}
CHOSEN = [name for name in task_files() if name not in ("qsv_demo", "qsv_mlvu_test")]
SCORED = [name for name in CHOSEN if not isinstance(task_named(name).scorer, JudgedAnswer)]
MOST = {"qsv_mme": 400.0}
"""Of the two categories that the small copy has."""


@pytest.fixture(scope="module")
def every_benchmark(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("every")
    for name, layout in PREPARED.items():
        download = tmp_path_factory.mktemp(name)
        layout.make(download)
        prepare(benchmark_named(name), download, root)
    write_tables(root)
    return root


@pytest.fixture
def machine(every_benchmark, empty_machine, monkeypatch):
    """A machine with all benchmarks and no network."""
    monkeypatch.setenv("QSV_DATA", str(every_benchmark))
    monkeypatch.setattr("socket.socket.connect", _refused)


def _refused(*_):
    raise AssertionError("no test may open a connection")


def sample_of(doc) -> Sample:
    return Sample.model_validate_json(doc["sample"])


def right(doc) -> str:
    sample = sample_of(doc)
    return sample.answer or Counter(sample.answers).most_common(1)[0][0]


@pytest.mark.parametrize("task", SCORED)
def test_a_model_that_is_always_right(machine, evaluate, task):
    run = evaluate(task, right)
    summary = run.metric(task, "outcome")
    assert summary["value"] == pytest.approx(MOST.get(task, 100.0))
    assert run.metric(task, "accuracy") == summary["value"]
    assert summary["counts"]["correct"] == summary["n"] == len(run.requests)
    assert summary["complete"]
    assert set(summary["breakdown"]) == set(task_named(task).fields)


@pytest.mark.parametrize("task", CHOSEN)
def test_a_model_that_says_nothing(machine, evaluate, task):
    summary = evaluate(task, lambda doc: "").metric(task, "outcome")
    assert summary["counts"]["empty"] == summary["n"]
    assert summary["value"] == {"0 to 5": 0.0, "2 to 10": 2.0}.get(summary["scale"], 0.0)


@pytest.mark.parametrize("task", ["qsv_videomme", "qsv_nextqa", "qsv_mvbench", "qsv_seedbench", "qsv_mmstar"])
def test_a_constant_letter_has_that_letters_share(machine, evaluate, task):
    samples = task_named(task).samples()
    share = 100 * sum(sample.answer == "B" for sample in samples) / len(samples)
    assert evaluate(task, lambda doc: "B").metric(task, "outcome")["micro"] == pytest.approx(share)


@pytest.mark.parametrize("task", ["qsv_activitynetqa", "qsv_videochatgpt", "qsv_mlvu_generation"])
def test_without_a_judge_answers_are_unscored(machine, evaluate, task):
    summary = evaluate(task, lambda doc: "A man.").metric(task, "outcome")
    assert summary["counts"]["unscored"] == summary["n"]
    assert summary["value"] is None
    assert not summary["complete"]


def test_the_test_set_has_no_answers(machine, evaluate):
    run = evaluate("qsv_mlvu_test", lambda doc: "E")
    rows = [sample["outcome"] for sample in run.results["samples"]["qsv_mlvu_test"]]
    assert {row["extracted"] for row in rows} == {"E"}
    assert {row["outcome"] for row in rows} == {"unscored"}


@pytest.mark.parametrize("kind", ["chat", "simple"])
def test_images_come_with_their_questions(machine, evaluate, kind):
    from qsv_eval.tasks.lmms_hooks import doc_to_messages, doc_to_visual

    requests = {}

    def answer(doc):
        requests[doc["question_id"]] = (
            doc_to_visual(doc) if kind == "simple" else doc_to_messages(doc)[-1]["content"][:-1]
        )
        return right(doc)

    evaluate("qsv_gqa", answer, kind=kind)
    pictures = {id_: media[0] if kind == "simple" else media[0]["url"] for id_, media in requests.items()}
    # n1 is the first row of the images' table, and is red by a hundred; joined by name, not by place.
    assert pictures["q1"].getpixel((0, 0))[0] > 80 > pictures["q0"].getpixel((0, 0))[0]
    evaluate("qsv_mmmu", answer, kind=kind)
    assert len(requests["validation_Art_0"]) == 2


def test_any_beginning_holds_all_groups(machine):
    samples = task_named("qsv_mvbench").samples()
    assert len({sample.groups["subtask"] for sample in samples[:20]}) == 20
    assert len(samples) == 40
