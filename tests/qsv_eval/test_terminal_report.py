from pathlib import Path

import pytest

from qsv_eval.data.sample import Sample
from qsv_eval.model_adapters.engine.failure import ERROR_REPLY
from qsv_eval.model_adapters.engine.metrics import Efficiency, summarise_efficiency
from qsv_eval.run import RunReport, TaskReport
from qsv_eval.scoring.sample_result import new_sample_result
from qsv_eval.scoring.scorers import score_sample
from qsv_eval.tasks.registry import task_named
from qsv_eval.terminal_report import print_report

REPLIES = {"correct": "A", "wrong": "B", "unparsed": "hm", "error": ERROR_REPLY}


def summary(*outcomes):
    task = task_named("qsv_demo")
    rows = []
    for index, outcome in enumerate(outcomes):
        groups = {"duration": ("short", "long")[index % 2], "task_type": "first"}
        options = ("A. red", "B. blue")
        sample = Sample(id=str(index), question="Which?", options=options, answer="A", groups=groups)
        rows.append(score_sample(new_sample_result(task.name, sample, REPLIES[outcome]), task.scorer))
    return task.summarise(rows)


def shown(capsys, *tasks, asked=4, damaged=0, efficiency=None):
    results = Path("out/model/1_results.json")
    print_report(RunReport(Path("out"), results, list(tasks), asked, damaged, efficiency or summarise_efficiency([])))
    return capsys.readouterr().out


def test_what_the_run_cost(capsys):
    stages = {"wait": 1.0, "vit": 6.0, "other": 3.0}
    efficiency = Efficiency(wall_s=10.0, stages=stages, read_s=5.0, reads=2, files={"a", "b"})
    efficiency.request_s, efficiency.frames = [4.0, 6.0], 40
    text = shown(capsys, efficiency=summarise_efficiency([efficiency]))
    [vit] = [line for line in text.splitlines() if "vit" in line]
    assert [cell.strip() for cell in vit.strip("│").split("│")] == ["vit", "6.0", "60%"]
    assert "5.00 / 5.90" in text
    assert "reading 5.0 s in the background" in " ".join(text.split())
    assert "80% of it hidden" in " ".join(text.split())
    assert "2 reads of 2 videos" in " ".join(text.split())


def test_the_number_of_stages_does_not_matter(capsys):
    efficiency = summarise_efficiency([Efficiency(wall_s=10.0, stages={"vit": 6.0}, request_s=[4.0])])
    stages = {f"stage {index}": 1.0 for index in range(7)}
    text = shown(capsys, efficiency=efficiency | {"stages": stages})
    assert all(stage in text for stage in stages)
    assert "videos per minute" in text


def test_degraded_answers_are_counted_beside_the_score(capsys):
    task = TaskReport("qsv_demo", {"accuracy": 50.0}, 0, degraded=3)
    assert "qsv_demo: DEGRADED: 3 answers used fewer frames" in shown(capsys, task)


def test_a_complete_run(capsys):
    outcome = summary("correct", "wrong", "correct", "unparsed")
    text = shown(capsys, TaskReport("qsv_demo", {"accuracy": 50.0, "outcome": outcome}, 0))
    assert "50.0" in text
    assert "2 correct, 1 wrong, 1 unparsed" in text
    assert "short" in text
    assert "4 questions asked in this run; results in out/model/1_results.json" in text
    assert "INCOMPLETE" not in text


def test_a_path_is_printed_as_it_is(capsys):
    print_report(RunReport(Path("out"), Path("out[v2]/1_results.json"), [], 0, 0, summarise_efficiency([])))
    assert "results in out[v2]/1_results.json" in capsys.readouterr().out


def test_a_judges_scale_has_two_digits(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    outcome = summary("correct", "wrong") | {"value": 3.424, "interval": (3.311, 3.537), "scale": "0 to 5"}
    text = shown(capsys, TaskReport("qsv_activitynetqa", {"outcome": outcome}, 0))
    assert "3.42" in text
    assert "3.31 to 3.54" in text


def test_an_incomplete_run_shows_its_range(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    outcome = summary("correct", "wrong", "error", "error")
    task = TaskReport("qsv_demo", {"accuracy": 50.0, "outcome": outcome}, 2)
    text = shown(capsys, task)
    assert not task.complete
    assert "25.0 to 75.0" in text
    assert "2 error" in text
    assert "INCOMPLETE" in text


def test_nothing_was_scored(capsys):
    outcome = summary("error", "error")
    text = shown(capsys, TaskReport("qsv_demo", {"accuracy": None, "outcome": outcome}, 2))
    assert "none" in text
    assert "0.0 to 100.0" in text


@pytest.mark.parametrize(("failures", "complete"), [(0, True), (3, False)])
def test_lmms_evals_own_tasks(capsys, failures, complete):
    task = TaskReport("videomme", {"videomme_perception_score": 61.5, "x_stderr": 1.0, "note": "text"}, failures)
    text = shown(capsys, task)
    assert "61.5" in text
    assert "stderr" not in text
    assert ("INCOMPLETE" not in text) is complete


def test_damaged_videos_are_counted(capsys):
    outcome = summary("correct")
    assert "2 answers used videos" in shown(capsys, TaskReport("qsv_demo", {"outcome": outcome}, 0), damaged=2)
