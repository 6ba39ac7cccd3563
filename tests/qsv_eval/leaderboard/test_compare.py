"""Two runs side by side: planted differences, ids that differ, and texts that want to be more than text."""

import csv
import json
import re

import pytest
from run_files import ANSWERS, replies, rows_of, write_foreign, write_run

from qsv_eval.leaderboard.compare import compare_runs
from qsv_eval.leaderboard.comparefiles import write_comparison
from qsv_eval.leaderboard.compareview import print_comparison
from qsv_eval.leaderboard.samples import SAMPLES, find_samples, read_samples
from qsv_eval.model_adapters.engine.failure import ERROR_REPLY
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.tasks.registry import task_named

HOSTILE = "<script>alert(1)</script> =HYPERLINK(1) | **b** [red]x[/red] \x1b[31mred\x1b[0m \u202e\ud800"


def two_runs(folder, first, second, task="qsv_videomme", **of_second):
    write_run(folder / "a", {task: rows_of(task, first)})
    write_run(folder / "b", {task: rows_of(task, second)}, **of_second)
    return compare_runs(folder / "a", folder / "b")[task]


def test_a_planted_difference_is_found(tmp_path):
    first, second = replies(300, 0.8, seed=1), replies(300, 0.5, seed=2)
    found = two_runs(tmp_path, first, second)
    headline = found.averages[0]
    right = [reply == "C" for reply in first], [reply == "C" for reply in second]
    gap = 100 * (sum(right[0]) - sum(right[1])) / 300
    assert headline.difference.mean == pytest.approx(gap)
    assert headline.difference.low > 0
    assert headline.difference.p < 0.01
    assert headline.difference.clusters == 100
    only = [sum(a and not b for a, b in zip(*pair, strict=True)) for pair in (right, right[::-1])]
    assert [headline.mcnemar.first_only, headline.mcnemar.second_only] == only
    assert len(found.flips) == sum(only)
    assert {flip.right for flip in found.flips} == {"A", "B"}
    assert all((flip.first_reply == "C") == (flip.right == "A") for flip in found.flips)
    assert 2.5 * headline.difference.error < headline.detectable < 3.1 * headline.difference.error
    groups = {(one.field, one.group): one.n for one in found.averages[1:]}
    assert groups["duration", "short"] == groups["duration", "long"] == 100
    assert (found.only_first, found.changed, found.unscored) == ([], [], 0)


def test_the_headline_is_the_official_average_not_the_mean_of_questions(tmp_path):
    task = "qsv_mvbench"
    groups = {"subtask": ("a", "a", "a", "b")}
    sides = [rows_of(task, said, groups=groups) for said in (["C", "A", "A", "C"] * 20, ["C", "A", "A", "A"] * 20)]
    for name, rows in zip("ab", sides, strict=True):
        write_run(tmp_path / name, {task: rows})
    headline = compare_runs(tmp_path / "a", tmp_path / "b")[task].averages[0]
    assert (headline.first, headline.second) == tuple(task_named(task).average.of(rows) for rows in sides)
    assert headline.difference.mean == pytest.approx(50.0)


def test_a_judges_scores_are_compared_on_its_scale(tmp_path):
    task = "qsv_activitynetqa"
    for name, score in (("a", 1.0), ("b", 0.0)):
        rows = rows_of(task, ["dog"] * 12, groups={"kind": ("object",)})
        judged = [
            row
            | {"outcome": "correct" if score else "wrong", "score": score, "verdicts": {row["wanted"][0]: 5 * score}}
            for row in rows
        ]
        write_run(tmp_path / name, {task: judged})
    found = compare_runs(tmp_path / "a", tmp_path / "b")[task]
    assert found.averages[0].first == task_named(task).average.of(judged) + found.averages[0].difference.mean


def test_only_shared_questions_count_and_the_others_are_named(tmp_path):
    task = "qsv_mvbench"
    first = rows_of(task, ["C"] * 12)
    second = rows_of(task, ["C"] * 8 + [ERROR_REPLY, "A"])[1:]
    second[0]["question"] = "Another?"
    write_run(tmp_path / "a", {task: first})
    write_run(tmp_path / "b", {task: second})
    found = compare_runs(tmp_path / "a", tmp_path / "b")[task]
    assert found.only_first == ["00000", "00010", "00011"]
    assert found.only_second == []
    assert found.changed == ["00001"]
    assert found.unscored == 1
    assert found.averages[0].n == 7


def test_protocols_come_first(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    answers = {**ANSWERS, "frame_rule": {"max_frames": 64}}
    found = two_runs(tmp_path, replies(30, 0.9), replies(30, 0.3), answers=answers)
    assert found.protocol["answers.frame_rule.max_frames"] == (420, 64)
    print_comparison({"qsv_videomme": found})
    shown = capsys.readouterr().out
    assert shown.index("answers.frame_rule.max_frames") < shown.index("official average")
    assert "is better, by more than chance" in shown


def test_equal_runs_cannot_be_told_apart(tmp_path, capsys):
    found = two_runs(tmp_path, replies(30, 0.5), replies(30, 0.5))
    print_comparison({"qsv_videomme": found})
    shown = capsys.readouterr().out
    assert found.flips == []
    assert "protocols are equal" in shown
    assert "A and B cannot be told apart on these questions." in shown


def test_lmms_evals_own_samples(tmp_path):
    write_foreign(tmp_path / "a", scores=(1.0, 1.0, 1.0, 0.0, 1.0, 1.0))
    write_foreign(tmp_path / "b", scores=(1.0, 0.0, 1.0, 0.0, 0.0, 0.0))
    found = compare_runs(tmp_path / "a", tmp_path / "b")["videomme"]
    assert found.protocol == {}
    assert found.averages[0].difference.mean == pytest.approx(50.0)
    assert (found.averages[0].n, found.averages[0].difference.clusters) == (6, 3)
    assert [flip.id for flip in found.flips] == ["q1", "q4", "q5"]


def test_scores_that_are_not_of_right_and_wrong(tmp_path):
    for name, scores in (("a", (3, 4, 5)), ("b", (1, 2, 2))):
        write_foreign(tmp_path / name, scores=scores)
    found = compare_runs(tmp_path / "a", tmp_path / "b")["videomme"]
    headline = found.averages[0]
    assert (headline.first, headline.mcnemar, found.flips) == (pytest.approx(4.0), None, [])


def test_the_newest_samples_count_and_say_what_they_are(tmp_path):
    write_run(tmp_path, {"qsv_mvbench": rows_of("qsv_mvbench", ["A"] * 3)})
    write_run(tmp_path, {"qsv_mvbench": rows_of("qsv_mvbench", ["C"] * 4)}, stamp="20261105_000000")
    file = find_samples(tmp_path)["qsv_mvbench"]
    frame = read_samples(file)
    assert list(frame.columns) == list(SAMPLES)
    assert list(frame["outcome"]) == ["correct"] * 4
    assert file.protocol["answers"] == ANSWERS


def test_samples_without_a_results_file_have_no_protocol(tmp_path):
    for name in "ab":
        write_run(tmp_path / name, {"qsv_mvbench": rows_of("qsv_mvbench", ["C"] * 6)})
    for file in (tmp_path / "a").glob("*_results.json"):
        file.unlink()
    found = compare_runs(tmp_path / "a", tmp_path / "b")["qsv_mvbench"]
    assert found.protocol is None
    assert found.averages[0].n == 6


def damage(path, text):
    path.write_text(path.read_text() + text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"doc_id": 3, "outc', r"jsonl:4: is no sample"),
        ("[1]\n", r"jsonl:4: is no sample"),
        ('{"x": 1}\n', r"jsonl:4: is no sample \(KeyError"),
    ],
)
def test_a_torn_samples_file_is_refused_by_line(tmp_path, text, says):
    write_run(tmp_path, {"qsv_mvbench": rows_of("qsv_mvbench", ["C"] * 3)})
    file = find_samples(tmp_path)["qsv_mvbench"]
    damage(file.path, text)
    with pytest.raises(SetupError, match=says):
        read_samples(file)


def test_an_id_that_occurs_twice_is_refused(tmp_path):
    write_run(tmp_path, {"qsv_mvbench": rows_of("qsv_mvbench", ["C"] * 3)})
    file = find_samples(tmp_path)["qsv_mvbench"]
    damage(file.path, file.path.read_text())
    with pytest.raises(SetupError, match="3 ids occur twice"):
        read_samples(file)


def test_nothing_in_common_is_said(tmp_path):
    write_run(tmp_path / "a", {"qsv_mvbench": rows_of("qsv_mvbench", ["C"])})
    write_foreign(tmp_path / "b")
    with pytest.raises(SetupError, match="no task in common"):
        compare_runs(tmp_path / "a", tmp_path / "b")
    (tmp_path / "c").mkdir()
    with pytest.raises(SetupError, match="holds no samples file"):
        compare_runs(tmp_path / "a", tmp_path / "c")


def test_groups_are_on_their_own_scale(tmp_path):
    """MME's points are of 2,800; its groups are percentages."""
    groups = {"category": ("existence", "OCR")}
    for name, said in (("a", ["yes", "no"]), ("b", ["no", "yes"])):
        rows = rows_of("qsv_mme", said * 6, per_video=2, groups=groups)
        write_run(tmp_path / name, {"qsv_mme": rows})
    headline, *groups = compare_runs(tmp_path / "a", tmp_path / "b")["qsv_mme"].averages
    assert headline.scale == task_named("qsv_mme").average.scale
    assert {one.scale for one in groups} == {"percent"}


@pytest.mark.parametrize(
    ("said", "line"),
    [([ERROR_REPLY] * 3, "nothing to compare"), (["C"], "their difference has no interval")],
)
def test_what_cannot_be_compared_is_said(tmp_path, capsys, said, line):
    print_comparison({"qsv_mvbench": two_runs(tmp_path, said, said, task="qsv_mvbench")})
    assert line in capsys.readouterr().out


def test_hostile_texts_are_text_everywhere(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
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
    assert json.loads((tmp_path / "a" / f"20261101_000000_samples_{task}.jsonl").read_text().splitlines()[2])
