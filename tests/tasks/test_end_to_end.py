"""Every task with the built-in model and its real videos, from request to score, on a machine without a network."""

import json

import pytest
from judge_server import Answer, JudgeServer
from official import VIDEO_LAYOUTS
from official_images import write_tables

from qsv_eval.data.prepare import prepare
from qsv_eval.demo import CHECKPOINT
from qsv_eval.judge import JudgeSettings
from qsv_eval.model_adapters.model_args import ModelArgs
from qsv_eval.run import run
from qsv_eval.tasks import task_files
from qsv_eval.tasks.registry import benchmark_named

EVERY_SCORE = json.dumps({"pred": "yes", **dict.fromkeys(("score", "accuracy", "relevance"), 3)})


@pytest.fixture
def every_benchmark(empty_machine, tmp_path):
    for layout in reversed(VIDEO_LAYOUTS):
        download = tmp_path / layout.make.__name__
        layout.make(download)
        prepare(benchmark_named(layout.benchmark), download, empty_machine)
    write_tables(empty_machine)
    return empty_machine


def test_every_task_runs_from_request_to_score(every_benchmark, tmp_path, monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    model = ModelArgs.parse({"pretrained": str(CHECKPOINT), "dtype": "float32", "device": "cpu", "max_frames": 8})
    with JudgeServer().running() as server:
        server.answer = lambda seen: Answer(EVERY_SCORE.replace("}", ', "completeness": 3, "reliability": 3}'))
        judge = JudgeSettings(model="local", url=server.url, cache=tmp_path / "verdicts")
        report = run(["qsv_all"], model, tmp_path / "out", limit=2, judge=judge)
    summaries = {task.task: task.metrics["outcome"] for task in report.tasks}
    assert sorted(summaries) == list(task_files())
    for name, summary in summaries.items():
        assert 1 <= summary["n"] <= 2
        assert summary["counts"]["error"] == 0, name
        expected = "unscored" if name == "qsv_mlvu_test" else None
        assert (summary["counts"]["unscored"] == summary["n"]) is (expected == "unscored"), name
        assert summary["protocol"]["answers"]["checkpoint"]
    assert list((tmp_path / "out").glob("*_submission_qsv_mlvu_test.json"))
    assert summaries["qsv_activitynetqa"]["also"]["score"]["value"] in (0.0, 1.5, 3.0)
    assert server.requests
