"""Report of a comparison: in order, in words, and harmless whatever replies hold."""

import csv
import re

import pytest
from run_files import ANSWERS, replies, rows_of, write_foreign, write_run

from qsv_eval.leaderboard.compare.compare import compare_runs
from qsv_eval.leaderboard.compare.report import print_comparison, write_comparison
from qsv_eval.model_adapters.engine.failure import ERROR_REPLY

HOSTILE = "<script>alert(1)</script> =HYPERLINK(1) | **b** [red]x[/red] \x1b[31mred\x1b[0m \u202e\ud800"


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")


def printed(capsys, folder, first, second, task="qsv_videomme", **of_second):
    """Return what is printed of two runs with the given replies."""
    write_run(folder / "a", {task: rows_of(task, first)})
    write_run(folder / "b", {task: rows_of(task, second)}, **of_second)
    print_comparison(compare_runs(folder / "a", folder / "b"))
    return capsys.readouterr().out


def test_protocols_come_first(tmp_path, capsys):
    answers = {**ANSWERS, "frame_rule": {"max_frames": 64}}
    shown = printed(capsys, tmp_path, replies(30, 0.9), replies(30, 0.3), answers=answers)
    assert re.search(r"answers\.frame_rule\.max_frames +│ 420 +│ 64 ", shown)
    assert shown.index("answers.frame_rule.max_frames") < shown.index("official average")
    assert "The average of A is significantly higher." in shown
    assert re.search(r"official average .*<\.0001", shown)


def test_equal_runs_cannot_be_told_apart(tmp_path, capsys):
    shown = printed(capsys, tmp_path, replies(30, 0.5), replies(30, 0.5))
    assert "reply of A" not in shown
    assert "protocols are equal" in shown
    assert "A and B do not differ significantly on these questions." in shown


@pytest.mark.parametrize(
    ("said", "line"),
    [([ERROR_REPLY] * 3, "nothing to compare"), (["C"], "their difference has no interval")],
)
def test_what_cannot_be_compared_is_said(tmp_path, capsys, said, line):
    assert line in printed(capsys, tmp_path, said, said, task="qsv_mvbench")


def test_a_task_that_only_one_run_has_is_named(tmp_path, capsys):
    write_run(tmp_path / "a", {task: rows_of(task, ["C"] * 6) for task in ("qsv_mvbench", "qsv_videomme")})
    write_run(tmp_path / "b", {"qsv_mvbench": rows_of("qsv_mvbench", ["C"] * 6)})
    found = compare_runs(tmp_path / "a", tmp_path / "b")
    print_comparison(found)
    assert "WARNING: only A has qsv_videomme" in capsys.readouterr().out
    write_comparison(found, tmp_path / "out")
    assert "WARNING: only A has qsv\\_videomme" in (tmp_path / "out" / "comparison.md").read_text()


def test_lmms_evals_own_average_is_not_called_official(tmp_path, capsys):
    for name in "ab":
        write_foreign(tmp_path / name)
    print_comparison(compare_runs(tmp_path / "a", tmp_path / "b"))
    shown = capsys.readouterr().out
    assert "mean of questions" in shown
    assert "official" not in shown


def test_hostile_texts_are_text_everywhere(tmp_path, capsys):
    task = "qsv_mvbench"
    huge = "=1+1" + "x" * 1_000_000
    for name, said in (("a", [f"C {HOSTILE}", "C", huge]), ("b", ["A", f"A {HOSTILE}", "C"])):
        write_run(tmp_path / name, {task: rows_of(task, said, per_video=1, question=HOSTILE)})
    found = compare_runs(tmp_path / "a", tmp_path / "b")
    print_comparison(found)
    shown = capsys.readouterr().out
    files = {path.name: path.read_text("utf-8") for path in write_comparison(found, tmp_path / "out")}
    for text in (shown, *files.values()):
        assert len(text) < 100_000
        assert not any(mark in text for mark in ("\x1b[31m", "\u202e", "\ud800"))
    assert "[red]x[/red]" in re.sub(r"[│\s]+", " ", shown)
    assert all("alert(1)" in text for text in (shown, files["comparison.md"], files["flips.csv"]))
    assert "<script>" not in files["comparison.md"]
    with (tmp_path / "out" / "flips.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) >= 2
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
