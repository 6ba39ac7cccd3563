"""Tables in the terminal: every number is readable at any width."""

import pytest
from run_files import rows_of, write_run

from qsv_eval.leaderboard.terminal import print_table
from qsv_eval.leaderboard.write import make_leaderboard

TASKS = ("qsv_mvbench", "qsv_nextqa", "qsv_videomme", "qsv_demo")


@pytest.fixture
def headline(tmp_path):
    for model in ("org/one", "org/another-with-a-name-that-is-rather-long"):
        write_run(tmp_path / model, {task: rows_of(task, ["C", "A", "C"]) for task in TASKS}, model=model)
    return make_leaderboard([tmp_path]).headline


@pytest.mark.parametrize("width", [60, 80, 400])
def test_no_number_is_cut(headline, width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    print_table(headline)
    said = capsys.readouterr().out
    assert "…" not in said
    assert said.count("n=3") == 2 * len(headline.columns)
    assert said.count("66.7") == 2 * len(headline.columns)
    assert "org/one" in said
    assert said.count("setting") == {60: 4, 80: 2, 400: 1}[width]
