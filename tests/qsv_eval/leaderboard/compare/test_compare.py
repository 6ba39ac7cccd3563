"""Comparison of two runs: planted differences are found, and only shared questions are compared."""

import pytest
from run_files import replies, rows_of, write_foreign, write_run

from qsv_eval.leaderboard.compare.compare import compare_runs
from qsv_eval.leaderboard.compare.report import left_out_tasks, warnings_of
from qsv_eval.model_adapters.engine.failure import ERROR_REPLY
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.tasks.registry import task_named


def two_runs(folder, first, second, task="qsv_videomme", **of_second):
    write_run(folder / "a", {task: rows_of(task, first)})
    write_run(folder / "b", {task: rows_of(task, second)}, **of_second)
    return compare_runs(folder / "a", folder / "b").tasks[task]


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
    assert (found.pairing.only_first, found.pairing.changed, found.pairing.unscored) == ([], [], 0)


def test_the_headline_is_the_official_average_not_the_mean_of_questions(tmp_path):
    task = "qsv_mvbench"
    groups = {"subtask": ("a", "a", "a", "b")}
    sides = [rows_of(task, said, groups=groups) for said in (["C", "A", "A", "C"] * 20, ["C", "A", "A", "A"] * 20)]
    for name, rows in zip("ab", sides, strict=True):
        write_run(tmp_path / name, {task: rows})
    headline = compare_runs(tmp_path / "a", tmp_path / "b").tasks[task].averages[0]
    assert (headline.first, headline.second) == tuple(task_named(task).average.of(rows) for rows in sides)
    assert headline.difference.mean == pytest.approx(50.0)


def test_models_that_lmms_eval_asks_in_other_words_are_compared(tmp_path):
    for name in "ab":
        write_foreign(tmp_path / name, scores=(1.0, 0.0, 1.0))
    [samples] = (tmp_path / "b").glob("*_samples_*")
    samples.write_text(samples.read_text().replace("Which?", "Which? Answer with a letter."))
    found = compare_runs(tmp_path / "a", tmp_path / "b").tasks["videomme"]
    assert (found.averages[0].n, found.pairing.changed) == (3, [])
    assert any("3 questions worded differently in B" in line for line in warnings_of(found))
    samples.write_text(samples.read_text().replace('"answer": "C"', '"answer": "D"'))
    assert compare_runs(tmp_path / "a", tmp_path / "b").tasks["videomme"].pairing.changed == ["q0", "q1", "q2"]


def test_a_damaged_file_costs_its_task(tmp_path):
    for name in "ab":
        write_run(tmp_path / name, {task: rows_of(task, ["C"] * 6) for task in ("qsv_mvbench", "qsv_videomme")})
    [torn] = (tmp_path / "b").glob("*_samples_qsv_mvbench.jsonl")
    torn.write_text(torn.read_text()[:-9])
    found = compare_runs(tmp_path / "a", tmp_path / "b")
    assert list(found.tasks) == ["qsv_videomme"]
    [line] = left_out_tasks(found)
    assert line.startswith("qsv_mvbench is not compared: ")
    assert f"{torn}:6: not a sample" in line
    torn.with_name(torn.name.replace("mvbench", "videomme")).unlink()
    with pytest.raises(SetupError, match="6: not a sample"):
        compare_runs(tmp_path / "a", tmp_path / "b")


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
    found = compare_runs(tmp_path / "a", tmp_path / "b").tasks[task]
    assert found.averages[0].first == task_named(task).average.of(judged) + found.averages[0].difference.mean


def test_only_shared_questions_count_and_the_others_are_named(tmp_path):
    task = "qsv_mvbench"
    first = rows_of(task, ["C"] * 12)
    second = rows_of(task, ["C"] * 8 + [ERROR_REPLY, "A"])[1:]
    second[0]["question"] = "Another?"
    write_run(tmp_path / "a", {task: first})
    write_run(tmp_path / "b", {task: second})
    found = compare_runs(tmp_path / "a", tmp_path / "b").tasks[task]
    assert found.pairing.only_first == ["00000", "00010", "00011"]
    assert found.pairing.only_second == []
    assert found.pairing.changed == ["00001"]
    assert found.pairing.unscored == 1
    assert found.averages[0].n == 7


def test_lmms_evals_own_samples(tmp_path):
    write_foreign(tmp_path / "a", scores=(1.0, 1.0, 1.0, 0.0, 1.0, 1.0))
    write_foreign(tmp_path / "b", scores=(1.0, 0.0, 1.0, 0.0, 0.0, 0.0))
    found = compare_runs(tmp_path / "a", tmp_path / "b").tasks["videomme"]
    assert found.protocol == {}
    assert found.averages[0].difference.mean == pytest.approx(50.0)
    assert (found.averages[0].n, found.averages[0].difference.clusters) == (6, 3)
    assert [flip.id for flip in found.flips] == ["q1", "q4", "q5"]


def test_scores_that_are_not_of_right_and_wrong(tmp_path):
    for name, scores in (("a", (3, 4, 5)), ("b", (1, 2, 2))):
        write_foreign(tmp_path / name, scores=scores)
    found = compare_runs(tmp_path / "a", tmp_path / "b").tasks["videomme"]
    headline = found.averages[0]
    assert (headline.first, headline.mcnemar, found.flips) == (pytest.approx(4.0), None, [])


def test_samples_without_a_results_file_have_no_protocol(tmp_path):
    for name in "ab":
        write_run(tmp_path / name, {"qsv_mvbench": rows_of("qsv_mvbench", ["C"] * 6)})
    for file in (tmp_path / "a").glob("*_results.json"):
        file.unlink()
    found = compare_runs(tmp_path / "a", tmp_path / "b").tasks["qsv_mvbench"]
    assert found.protocol is None
    assert found.averages[0].n == 6


def test_nothing_in_common_is_said(tmp_path):
    write_run(tmp_path / "a", {"qsv_mvbench": rows_of("qsv_mvbench", ["C"])})
    write_foreign(tmp_path / "b")
    with pytest.raises(SetupError, match="no task in common"):
        compare_runs(tmp_path / "a", tmp_path / "b")
    (tmp_path / "c").mkdir()
    with pytest.raises(SetupError, match="there is no samples file"):
        compare_runs(tmp_path / "a", tmp_path / "c")


def test_groups_are_on_their_own_scale(tmp_path):
    """MME's points are of 2,800; its groups are percentages."""
    groups = {"category": ("existence", "OCR")}
    for name, said in (("a", ["yes", "no"]), ("b", ["no", "yes"])):
        rows = rows_of("qsv_mme", said * 6, per_video=2, groups=groups)
        write_run(tmp_path / name, {"qsv_mme": rows})
    headline, *groups = compare_runs(tmp_path / "a", tmp_path / "b").tasks["qsv_mme"].averages
    assert headline.scale == task_named("qsv_mme").average.scale
    assert {one.scale for one in groups} == {"percent"}


def test_a_cluster_that_one_file_does_not_name_is_that_of_the_other(tmp_path):
    write_foreign(tmp_path / "a", scores=(1.0, 1.0, 1.0, 0.0))
    write_foreign(tmp_path / "b", scores=(1.0, 0.0, 1.0, 0.0)).unlink()
    for one, other in ("ab", "ba"):
        found = compare_runs(tmp_path / one, tmp_path / other).tasks["videomme"]
        assert found.clusters_known
        assert found.averages[0].difference.clusters == 2


def test_a_part_of_lmms_evals_own_group_has_a_protocol(tmp_path):
    for name, frames in (("a", 8), ("b", 16)):
        write_foreign(
            tmp_path / name,
            "mvbench_x",
            results={"mvbench": {"alias": "mvbench"}, "mvbench_x": {"score,none": 1.0}},
            group_subtasks={"mvbench": ["mvbench_x"]},
            config={"model": "m", "model_args": {"max_num_frames": frames}},
        )
    found = compare_runs(tmp_path / "a", tmp_path / "b").tasks["mvbench_x"]
    assert found.protocol == {"answers.max_num_frames": ("8", "16")}


def test_tasks_of_only_one_run_are_named(tmp_path):
    write_run(tmp_path / "a", {task: rows_of(task, ["C"] * 6) for task in ("qsv_mvbench", "qsv_videomme")})
    write_run(tmp_path / "b", {"qsv_mvbench": rows_of("qsv_mvbench", ["C"] * 6)})
    found = compare_runs(tmp_path / "b", tmp_path / "a")
    assert (list(found.tasks), found.only_first, found.only_second) == (["qsv_mvbench"], [], ["qsv_videomme"])


def test_a_question_of_several_groups_counts_in_each(tmp_path):
    task, groups = "qsv_lvbench", {"ability": (["temporal", "entity"], ["entity"])}
    for name, said in (("a", ["C"] * 12), ("b", ["A", "C"] * 6)):
        write_run(tmp_path / name, {task: rows_of(task, said, groups=groups)})
    _, *found = compare_runs(tmp_path / "a", tmp_path / "b").tasks[task].averages
    assert {one.group: (one.n, one.difference.mean) for one in found} == {"entity": (12, 50.0), "temporal": (6, 100.0)}


def right_if_yes(rows):
    return [row | ({"score": 1.0, "outcome": "correct"} if row["reply"] == "yes" else {}) for row in rows]


def circles(rows):
    """Make the rows of each cluster the orders of one question's options."""
    return [row | {"notes": {"circle": row["cluster"], "hint": ""}} for row in rows]


def test_a_circle_counts_only_if_both_runs_have_a_score_for_each_order(tmp_path):
    task, groups = "qsv_mmbench", {"ability": ("x",), "category": ("y",)}
    said = ["C"] * 4 + ["A"] * 4 + ["C"] * 4
    failed = [ERROR_REPLY, *said[1:]]
    first, second = (circles(rows_of(task, one, per_video=4, groups=groups)) for one in (said, failed))
    write_run(tmp_path / "a", {task: first})
    write_run(tmp_path / "b", {task: second})
    headline = compare_runs(tmp_path / "a", tmp_path / "b").tasks[task].averages[0]
    assert headline.first == headline.second == task_named(task).average.of(second) == 50.0
    assert (headline.n, headline.difference.clusters) == (11, 2)
    # Of a circle that only one run has whole, or that another text has changed, no more is left than of a failure.
    write_run(tmp_path / "c", {task: first[1:]})
    write_run(tmp_path / "d", {task: [first[0] | {"question": "Another?"}, *first[1:]]})
    for other in "cd":
        headline = compare_runs(tmp_path / "a", tmp_path / other).tasks[task].averages[0]
        assert (headline.first, headline.second) == (50.0, 50.0)


def test_a_pair_counts_only_if_both_runs_have_a_score_for_both_questions(tmp_path):
    task, groups = "qsv_mme", {"category": ("existence",)}
    said = ["yes", "yes", "yes", "no", "yes", "yes"]
    failed = ["yes", ERROR_REPLY, "yes", "no", ERROR_REPLY, ERROR_REPLY]
    first, second = (right_if_yes(rows_of(task, one, per_video=2, groups=groups)) for one in (said, failed))
    write_run(tmp_path / "a", {task: first})
    write_run(tmp_path / "b", {task: second})
    headline = compare_runs(tmp_path / "a", tmp_path / "b").tasks[task].averages[0]
    assert headline.first == headline.second == pytest.approx(task_named(task).average.of(second))
    assert headline.n == 3
    assert headline.difference.clusters == 2, "an image without any score is none that could be drawn"
