from pathlib import Path

import pytest

from qsv_eval.model_adapters.engine.efficiency import summarise
from qsv_eval.model_adapters.engine.usage import Use, summarise_use
from qsv_eval.run import RunReport, TaskReport
from qsv_eval.sweep.table import print_cells

SUMMARY = {"value": 57.14, "interval": [52.6, 61.7], "scale": "percent", "n": 420, "complete": True, "counts": {}}


@pytest.fixture
def shown(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")

    def show(*tasks, results="out/r.json"):
        print_cells("some/checkpoint", RunReport(Path("out"), Path(results), list(tasks), 840, 0, summarise([])))
        return capsys.readouterr().out

    return show


def test_a_cell_is_a_line_with_what_it_took(shown):
    use = summarise_use([Use(frames, 5, 24, 78, 2, {"vit": 0.02, "prefill": 0.01}) for frames in (14, 26, 32)])
    said = shown(TaskReport("qsv_demo@max_frames=32", {"outcome": SUMMARY}, 0, usage=use))
    [line] = [line for line in said.splitlines() if "max_frames=32" in line]
    assert line.split() == ["max_frames=32", "57.1", "(52.6-61.7)", "420", "24", "(15-31)", "5", "1.0", "0.03"]
    assert "some/checkpoint" in said
    assert "840 questions asked" in said
    assert "INCOMPLETE" not in said


def test_a_judges_scale_has_two_digits(shown):
    judged = SUMMARY | {"value": 3.424, "interval": [3.311, 3.537], "scale": "0 to 5"}
    assert "3.42 (3.31-3.54)" in shown(TaskReport("qsv_activitynetqa@fps=2.0", {"outcome": judged}, 0))


def test_a_path_is_printed_as_it_is(shown):
    said = shown(TaskReport("qsv_demo@fps=2.0", {"outcome": SUMMARY}, 0), results="out[v2]/[red]r.json")
    assert "results in out[v2]/[red]r.json" in said


def test_what_is_incomplete_says_so(shown):
    incomplete = SUMMARY | {"complete": False, "interval": None}
    said = shown(
        TaskReport("qsv_demo@fps=2.0", {"outcome": incomplete}, 3), TaskReport("mmlu@fps=2.0", {"acc": 0.5}, 0)
    )
    assert "57.1 INCOMPLETE" in said
    assert "some questions have no answer" in said
    assert "qsv_demo@fps=2" in said.replace("\n", ""), "of several tasks each is named"
    assert "0.5" in said
