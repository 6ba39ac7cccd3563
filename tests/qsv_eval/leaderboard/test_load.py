"""Results files of any origin become tidy frames; other files are refused by name."""

import json

import pytest
from run_files import ANSWERS, replies, rows_of, write_foreign, write_results, write_run

from qsv_eval.leaderboard.load import RUNS, SCORES, Headline, load, select_records
from qsv_eval.leaderboard.records import OFFICIAL, OWN
from qsv_eval.model_adapters.engine.failure import ERROR_REPLY
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.score import score_run
from qsv_eval.tasks.registry import task_named


def headlines(board):
    return board.scores[board.scores["field"] == ""].set_index(["model", "task"])


def answers(**frame_rule):
    return {**ANSWERS, "frame_rule": {**ANSWERS["frame_rule"], **frame_rule}}


def test_a_run_of_ours_has_everything(tmp_path):
    rows = rows_of("qsv_videomme", [*replies(27, 0.5), ERROR_REPLY, "hm", ""])
    write_run(tmp_path, {"qsv_videomme": rows}, degraded={"qsv_videomme": 2})
    board = load([tmp_path])
    summary = task_named("qsv_videomme").summarise(rows)
    assert list(board.runs.columns) == list(RUNS)
    assert list(board.scores.columns) == list(SCORES)
    score = headlines(board).loc[("org/tiny", "qsv_videomme")]
    for name in ("n", "value", "complete", "lowest", "highest", "micro", "macro", "clusters", "average", "scale"):
        assert score[name] == summary[name], name
    assert [score["low"], score["high"]] == summary["interval"]
    assert {name: score[name] for name in summary["counts"]} == summary["counts"]
    assert (score["kind"], score["degraded"], score["complete"], score["error"]) == (OFFICIAL, 2, False, 1)
    assert board.protocols[score["protocol"]]["answers"] == ANSWERS
    groups = board.scores[board.scores["field"] == "duration"].set_index("group")
    assert {name: groups["value"][name] for name in groups.index} == {
        name: figure["value"] for name, figure in summary["breakdown"]["duration"].items()
    }


def test_further_official_averages_stand_beside_the_headline(tmp_path):
    groups = {"category": ("existence", "OCR"), "part": ("perception",)}
    task = task_named("qsv_mme")
    rows = rows_of("qsv_mme", ["yes", "no"] * 4, per_video=2, groups=groups)
    write_run(tmp_path, {"qsv_mme": rows})
    scores = load([tmp_path]).scores
    assert set(scores[scores["field"] == "also"]["group"]) == set(task.extra_averages)
    assert scores["scale"].iloc[0] == task.average.scale


def test_lmms_evals_own_task_gives_its_first_number_and_no_more(tmp_path):
    write_foreign(tmp_path)
    score = headlines(load([tmp_path])).loc[("Qwen/Qwen2.5-VL-7B-Instruct", "videomme")]
    assert (score["kind"], score["metric"], score["n"]) == (OWN, "score,none", 3)
    assert score["value"] == pytest.approx(66.67, abs=0.01)
    # lmms-eval's standard errors are often on another scale than the number.
    assert score[["low", "high"]].isna().all()


def test_a_group_of_lmms_evals_own_has_its_subtasks_as_a_breakdown(tmp_path):
    results = {"mvbench": {"alias": "mvbench"}, "mvbench_a": {"acc,none": 50.0}, "mvbench_b": {"acc,none": 70.0}}
    subtasks = {"mvbench": ["mvbench_a", "mvbench_b"], "mvbench_a": [], "mvbench_b": []}
    write_foreign(tmp_path, results=results, group_subtasks=subtasks)
    scores = load([tmp_path]).scores
    assert scores[scores["field"] == ""][["task"]].to_numpy().tolist() == [["mvbench"]]
    assert scores[scores["field"] == ""]["value"].isna().all()
    assert dict(scores[scores["field"] == "subtask"][["group", "value"]].to_numpy()) == {
        "mvbench_a": 50.0,
        "mvbench_b": 70.0,
    }


def test_failures_of_lmms_evals_own_task_make_its_number_incomplete(tmp_path):
    """It counts a question without an answer as wrong."""
    write_foreign(tmp_path, failures={"videomme": 1})
    score = headlines(load([tmp_path])).loc[("Qwen/Qwen2.5-VL-7B-Instruct", "videomme")]
    assert (score["complete"], score["error"], score["n"]) == (False, 1, 3)


def test_of_a_group_the_run_with_the_most_questions_counts(tmp_path):
    subtasks = {"mvbench": ["mvbench_a", "mvbench_b"], "mvbench_a": [], "mvbench_b": []}
    for day, (n, value) in enumerate([(200, 60.0), (8, 90.0)], 1):
        results = {"mvbench": {"acc,none": value}, "mvbench_a": {"acc,none": value}, "mvbench_b": {"acc,none": value}}
        samples = {name: {"original": 200, "effective": n} for name in ("mvbench_a", "mvbench_b")}
        more = {"group_subtasks": subtasks, "n-samples": samples}
        write_foreign(tmp_path / str(day), stamp=f"2026110{day}_000000", results=results, **more)
    shown = load([tmp_path]).scores.query("shown", engine="python")
    assert set(shown["value"]) == {60.0}
    assert dict(shown[["group", "n"]].to_numpy()) == {"": 400, "mvbench_a": 200, "mvbench_b": 200}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"system_instruction": "Be brief."}),
        ({"n-shot": {"videomme": 0}}, {"n-shot": {"videomme": 4}}),
        ({}, {"fewshot_as_multiturn": True}),
    ],
    ids=["system instruction", "shots", "turns"],
)
def test_what_moves_the_prompts_of_others_keeps_their_runs_apart(tmp_path, one, other):
    for name, more in (("a", one), ("b", other)):
        write_foreign(tmp_path / name, **more)
    shown = headlines(load([tmp_path])).query("shown", engine="python")
    assert shown["protocol"].nunique() == len(shown) == 2


def test_samples_drawn_with_other_seeds_are_other_runs(tmp_path):
    for do_sample, seed in ((False, 1), (False, 2), (True, 1), (True, 2)):
        configs = {"videomme": {"generation_kwargs": {"do_sample": do_sample}}}
        config = {"model": "qwen2_5_vl", "model_args": "pretrained=a/b", "torch_seed": seed}
        write_foreign(tmp_path / f"{do_sample}{seed}", configs=configs, config=config)
    assert headlines(load([tmp_path]))["shown"].sum() == 3


def test_settings_are_what_the_runs_of_a_model_differ_in(tmp_path):
    rows = rows_of("qsv_videomme", replies(9, 0.5))
    for frames in (64, 128):
        write_run(tmp_path / str(frames), {"qsv_videomme": rows}, answers=answers(max_frames=frames))
    # Another benchmark with only one of the settings belongs into that row.
    write_run(
        tmp_path / "more", {"qsv_mvbench": rows_of("qsv_mvbench", replies(9, 0.5))}, answers=answers(max_frames=64)
    )
    write_run(tmp_path / "other", {"qsv_videomme": rows}, model="org/other")
    scores = headlines(load([tmp_path]))
    assert sorted(scores.loc[("org/tiny", "qsv_videomme")]["setting"]) == ["max_frames=128", "max_frames=64"]
    assert scores.loc[("org/tiny", "qsv_mvbench"), "setting"] == "max_frames=64"
    # Nor would a row beside it that says nothing be comparable.
    assert scores.loc[("org/other", "qsv_videomme"), "setting"] == "max_frames=420"


def test_runs_of_another_model_are_kept_apart_by_its_arguments(tmp_path):
    rows = rows_of("qsv_videomme", replies(9, 0.5))
    for frames in (8, 32):
        config = {"model": "llava", "model_args": f"pretrained=org/llava,max_frames_num={frames}"}
        write_run(tmp_path / str(frames), {"qsv_videomme": rows}, model="org/llava", answers=None, config=config)
    scores = load([tmp_path]).scores
    assert set(scores["setting"]) == {"max_frames_num=8", "max_frames_num=32"}
    assert scores["protocol"].nunique() == 2


def test_the_newest_run_with_the_most_questions_stands_for_its_protocol(tmp_path):
    task = "qsv_mvbench"
    write_run(tmp_path / "a", {task: rows_of(task, replies(30, 0.2))}, stamp="20261101_000000")
    write_run(tmp_path / "a", {task: rows_of(task, replies(30, 0.9))}, stamp="20261102_000000")
    write_run(tmp_path / "a", {task: rows_of(task, replies(3, 0.5))}, stamp="20261103_000000")
    board = load([tmp_path])
    shown = board.scores[board.scores["shown"]]
    assert set(shown["date"]) == {"20261102_000000"}
    assert len(board.runs) == 3
    assert set(shown["setting"]) == {""}


def test_a_run_gives_way_to_its_judging(tmp_path):
    groups = {"kind": ("object",)}
    waiting = rows_of("qsv_activitynetqa", ["a dog"] * 4, groups=groups)
    judged = [row | {"outcome": "correct", "score": 1.0, "verdicts": {"open_qa": 5.0}} for row in waiting]
    write_run(tmp_path / "model", {"qsv_activitynetqa": waiting})
    rescoring = {"extractor": "strict", "judge": "m"}
    write_run(
        tmp_path,
        {"qsv_activitynetqa": judged},
        model=None,
        stamp="20261102_000000",
        scoring={"judge": "m"},
        rescored=rescoring,
    )
    board = load([tmp_path])
    headline = board.scores[(board.scores["field"] == "") & board.scores["shown"]]
    assert headline[["model", "setting", "value"]].to_numpy().tolist() == [["org/tiny", "", 100.0]]
    assert list(board.runs["rescored"]) == [True, False]


def test_a_later_scoring_is_the_same_row_and_keeps_what_the_run_knew(tmp_path):
    rows = rows_of("qsv_mvbench", ["C", "A", "hm", "Best answer: C"])
    write_run(tmp_path / "model", {"qsv_mvbench": rows}, degraded={"qsv_mvbench": 2})
    score_run(tmp_path)
    shown = load([tmp_path]).scores.query("shown", engine="python")
    [headline] = shown[shown["field"] == ""].to_dict("records")
    assert headline["file"].count("/") == 1  # below the folder itself, not below model/
    assert (headline["model"], headline["setting"], headline["degraded"]) == ("org/tiny", "", 2)


def test_a_scoring_by_other_rules_is_another_row(tmp_path):
    rows = rows_of("qsv_mvbench", ["C", "A", "hm", "Best answer: C"])
    write_run(tmp_path / "model", {"qsv_mvbench": rows})
    score_run(tmp_path, extractor="reference")
    scores = headlines(load([tmp_path]))
    assert set(scores["setting"]) == {"extractor=reference", f"extractor={task_named('qsv_mvbench').scorer.name}"}
    assert scores["value"].nunique() == 2


def test_a_later_scoring_of_another_model_is_the_same_row(tmp_path):
    for frames in (8, 32):
        config = {"model": "llava", "model_args": f"pretrained=org/llava,max_frames_num={frames}"}
        rows = {"qsv_mvbench": rows_of("qsv_mvbench", ["C", "A"])}
        write_run(tmp_path / str(frames) / "llava", rows, model="org/llava", answers=None, config=config)
        score_run(tmp_path / str(frames))
    shown = headlines(load([tmp_path])).query("shown", engine="python")
    assert sorted(shown["setting"]) == ["max_frames_num=32", "max_frames_num=8"]


def test_what_goes_to_a_benchmarks_server_is_no_results_file(tmp_path):
    write_foreign(tmp_path)
    (tmp_path / "submissions").mkdir()
    (tmp_path / "submissions" / "mmbench_results.json").write_text("[]")
    assert len(load([tmp_path]).runs) == 1


def test_a_later_scoring_without_its_run_is_refused(tmp_path):
    rows = rows_of("qsv_mvbench", replies(3, 0.5))
    write_run(tmp_path, {"qsv_mvbench": rows}, model=None, rescored={"extractor": "strict"})
    with pytest.raises(SetupError, match="keep it in the run's --output folder"):
        load([tmp_path])


def test_names_of_files_do_not_depend_on_where_they_lie(tmp_path):
    rows = rows_of("qsv_mvbench", replies(3, 0.5))
    for folder in ("one/out", "two/out"):
        write_run(tmp_path / folder, {"qsv_mvbench": rows})
    names = list(load([tmp_path / "one/out", tmp_path / "two/out", tmp_path / "one/out"]).runs["file"])
    assert names == ["one/out/20261101_000000_results.json", "two/out/20261101_000000_results.json"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"results": {"a"', "cannot be read"),
        ("[1, 2]", "unknown format"),
        ('{"results": [1]}', "unknown format"),
        ('{"results": {"a": 1}}', "unknown format"),
        ('{"results": {"a": {"x,none": 1.0}}}', "does not name its model"),
        ('{"results": {"a": {"o,none": {"counts": {}, "n": 1}}}, "model_name": "m"}', "summary of a is of an unknown"),
        ('{"results": {"a": {"x,none": 1}}, "model_name": "m", "protocols": {"a": {"task": "a"}}}', "protocol of a is"),
    ],
)
def test_what_is_no_results_file_is_refused_by_name(tmp_path, content, says):
    (tmp_path / "1_results.json").write_text(content)
    with pytest.raises(SetupError, match=says) as refused:
        load([tmp_path])
    assert "1_results.json" in str(refused.value)


def test_folders_without_results_are_refused(tmp_path):
    with pytest.raises(SetupError, match="holds no results file"):
        load([tmp_path])
    with pytest.raises(SetupError, match="no such folder"):
        load([tmp_path / "none"])


def test_numbers_that_are_none_are_blank(tmp_path):
    write_results(tmp_path, {"results": {"t": {"alias": "t", "x,none": float("nan")}}, "model_name": "m"})
    assert "NaN" in (tmp_path / "20261101_000000_results.json").read_text()
    assert load([tmp_path]).scores["value"].isna().all()
    assert json.dumps(load([tmp_path]).protocols)


PROTOCOLS = {
    "plain": {"task": "t", "scoring": {"judge": None}, "hash": "plain"},
    "judged": {"task": "t", "scoring": {"judge": "gpt"}, "hash": "judged"},
    "other": {"task": "t", "prompt": "p", "scoring": {"judge": None}, "hash": "other"},
}


def headline(file, *, n=10, failed=0, scored=True, date="1", model="m", protocol="plain"):
    return Headline(n - failed, n, scored, date, file, "t", model, protocol)


def files(*headlines):
    return {file for file, _ in select_records(headlines, PROTOCOLS)}


def test_most_questions_before_newest():
    assert files(headline("a", n=10, date="1"), headline("b", n=3, date="9"), headline("c", n=10, date="2")) == {"c"}


def test_a_newer_run_with_failures_does_not_hide_a_whole_one():
    assert files(headline("a", date="1"), headline("b", failed=4, date="2")) == {"a"}
    assert files(headline("a", n=3, date="1"), headline("b", failed=4, date="2")) == {"b"}


def test_models_and_protocols_each_have_one():
    assert files(headline("a"), headline("b", model="n"), headline("c", protocol="other")) == {"a", "b", "c"}


def test_what_waits_for_a_judge_gives_way_to_what_had_one():
    waiting = headline("a", scored=False)
    assert files(waiting) == {"a"}
    assert files(waiting, headline("b", protocol="judged")) == {"b"}
    assert files(waiting, headline("b", protocol="judged", scored=False)) == {"a", "b"}
    assert files(waiting, headline("b", protocol="judged", model="n")) == {"a", "b"}
    assert files(waiting, headline("b", protocol="other")) == {"a", "b"}
