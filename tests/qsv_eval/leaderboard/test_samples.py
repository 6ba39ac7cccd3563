"""Samples files of any origin become one frame; other lines are refused by number."""

import json
from pathlib import Path

import pytest
from run_files import ANSWERS, rows_of, write_foreign, write_run

from qsv_eval.leaderboard.samples import SAMPLES, distinct_ids, find_samples, index_lines, read_samples, samples_at
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.score import score_run


def test_the_newest_samples_count_and_say_what_they_are(tmp_path):
    write_run(tmp_path, {"qsv_mvbench": rows_of("qsv_mvbench", ["A"] * 3)})
    write_run(tmp_path, {"qsv_mvbench": rows_of("qsv_mvbench", ["C"] * 4)}, stamp="20261105_000000")
    file = find_samples(tmp_path)["qsv_mvbench"]
    frame = read_samples(file)[0]
    assert list(frame.columns) == list(SAMPLES)
    assert list(frame["outcome"]) == ["correct"] * 4
    assert file.protocol["answers"] == ANSWERS


def damage(path, text):
    path.write_text(path.read_text() + text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"doc_id": 3, "outc', r"jsonl:4: not a sample"),
        ("[1]\n", r"jsonl:4: not a sample"),
        ('{"x": 1}\n', r"jsonl:4: not a sample \(KeyError"),
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
    with pytest.raises(SetupError, match=r'3 repeated ids \(first: "00000"\)'):
        read_samples(file)


def test_the_samples_of_one_results_file(tmp_path):
    task = "qsv_mvbench"
    first = write_run(tmp_path, {task: rows_of(task, ["A"] * 3)})
    write_run(tmp_path, {task: rows_of(task, ["C"] * 4)}, stamp="20261105_000000")
    assert list(read_samples(find_samples(first)[task])[0]["reply"]) == ["A"] * 3
    (tmp_path / "20261101_000000_samples_qsv_mvbench.jsonl").unlink()
    with pytest.raises(SetupError, match="no samples file"):
        find_samples(first)


def test_a_later_scoring_has_the_protocol_of_its_run(tmp_path):
    config = {"model": "llava", "model_args": "pretrained=org/llava,max_frames_num=8"}
    rows = {"qsv_mvbench": rows_of("qsv_mvbench", ["A"] * 3)}
    write_run(tmp_path / "llava", rows, model="org/llava", answers=None, config=config)
    before = find_samples(tmp_path)["qsv_mvbench"]
    score_run(tmp_path)
    after = find_samples(tmp_path)["qsv_mvbench"]
    assert after.path != before.path
    assert after.protocol["answers"] == before.protocol["answers"]
    assert after.protocol["answers"]["max_frames_num"] == "8"


def test_a_later_scoring_is_found_by_a_relative_path(tmp_path, monkeypatch):
    write_run(tmp_path / "run" / "model", {"qsv_mvbench": rows_of("qsv_mvbench", ["A"] * 3)})
    score_run(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    assert find_samples(Path("run"))["qsv_mvbench"].protocol["answers"] == ANSWERS


def test_a_cell_of_several_runs_is_refused_and_each_is_named(tmp_path):
    cell = "qsv_mvbench@max_frames=8"
    for name in ("one", "two"):
        write_run(tmp_path / "sweep" / name / "model", {cell: rows_of("qsv_mvbench", ["A"] * 3)})
        (tmp_path / "sweep" / name / "run.json").write_text("{}")
    named = ", ".join(f"{tmp_path}/sweep/{name}@max_frames=8" for name in ("one", "two"))
    with pytest.raises(SetupError, match=rf"sweep@max_frames=8: holds 2 runs.*name one of: {named}$"):
        find_samples(tmp_path / "sweep@max_frames=8")
    with pytest.raises(SetupError, match="sweep: holds 2 runs"):
        find_samples(tmp_path / "sweep")
    assert list(find_samples(tmp_path / "sweep" / "two@max_frames=8")) == ["qsv_mvbench"]


def test_a_sample_of_lmms_evals_own(tmp_path):
    write_foreign(tmp_path)
    frame = read_samples(find_samples(tmp_path)["videomme"])[0]
    assert frame.iloc[1].drop("row").to_dict() == {
        "id": "q1",
        "number": 1,
        "cluster": "v0",
        "score": 0.0,
        "outcome": "",
        "question": "Which?",
        "answer": "C",
        "reply": "A",
    }


def test_lines_are_told_apart_without_taking_them_apart(tmp_path):
    said = ["C", "A", "hm", "", '{"outcome": "correct"}', "\\", "\u00e9\u4e2d", '"id": "x"']
    rows = rows_of("qsv_mvbench", said, question='Is "outcome": "wrong" a key, or "id": "y"?')
    write_run(tmp_path, {"qsv_mvbench": rows})
    file = find_samples(tmp_path)["qsv_mvbench"]
    lines = index_lines(file)
    assert lines.outcomes == [row["outcome"] for row in rows]
    assert [json.loads(one) for one in lines.ids] == [row["id"] for row in rows]
    assert [one["reply"] for one in samples_at(file, lines.starts, [4, 1, 6])] == [said[4], said[1], said[6]]
    assert list(read_samples(file)[0]["reply"]) == said


def test_lines_of_others_have_a_score_and_no_outcome(tmp_path):
    write_foreign(tmp_path, scores=(1.0, 0.0))
    lines = index_lines(find_samples(tmp_path)["videomme"])
    assert lines[:4] == (['"q0"', '"q1"'], [0, 1], ["", ""], [1.0, 0.0])


def test_an_outcome_of_others_is_not_taken_for_ours(tmp_path):
    write_foreign(tmp_path, scores=(1.0,))
    file = find_samples(tmp_path)["videomme"]
    damage(file.path, '{"doc_id": 9, "their_metric": {"outcome": "win", "id": "q9", "score": 0.5}}\n')
    assert index_lines(file)[2:4] == (["", ""], [1.0, 0.5])


def rewrite(folder, change):
    """Change the samples of a run of lmms-eval's own task, and return where they are."""
    write_foreign(folder)
    file = find_samples(folder)["videomme"]
    lines = [change(json.loads(line)) for line in file.path.read_text().splitlines()]
    file.path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return file


def test_ids_that_a_task_of_others_gives_twice_make_way_for_numbers(tmp_path):
    """In lmms-eval's `mme` two questions have the same."""
    twice = rewrite(tmp_path / "a", lambda line: line | {"score": line["score"] | {"question_id": "same"}})
    once = rewrite(tmp_path / "b", lambda line: line)
    assert [list(frame["id"]) for frame in read_samples(twice, once)] == [["0", "1", "2"]] * 2
    assert list(read_samples(once)[0]["id"]) == ["q0", "q1", "q2"]
    assert distinct_ids(index_lines(twice)) == ['"0"', '"1"', '"2"']
    damage(twice.path, twice.path.read_text())
    with pytest.raises(SetupError, match="3 repeated ids"):
        read_samples(twice)


def test_where_only_letters_are_kept_they_say_what_is_right(tmp_path):
    """As in lmms-eval's `mlvu` and `longvideobench_val_v`."""

    def only_letters(line):
        said = {"pred_answer": line["filtered_resps"], "answer": "C"}
        return line | {"score": {"question_id": line["score"]["question_id"], **said}}

    assert list(read_samples(rewrite(tmp_path / "a", only_letters))[0]["score"]) == [1.0, 0.0, 1.0]
    words = rewrite(tmp_path / "b", lambda line: line | {"score": {"pred_answer": "red", "answer": "red"}})
    assert read_samples(words)[0]["score"].isna().all()


def test_the_first_metric_with_a_score_counts(tmp_path):
    def with_a_submission_first(line):
        score = line.pop("score")
        return line | {"submission": {"question_id": "x", "pred": "A"}, "score": score}

    assert list(read_samples(rewrite(tmp_path, with_a_submission_first))[0]["score"]) == [1.0, 0.0, 1.0]
