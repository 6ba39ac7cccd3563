"""Which run a file below a folder is of, and what is refused where there are several."""

import pytest
from run_files import rows_of, write_foreign, write_run

from qsv_eval.leaderboard.load import load
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.runfolders import only_run, runs_below
from qsv_eval.score import score_run

TASK = "qsv_mvbench"


def marked_run(folder, task=TASK, said="CCA", **more):
    """Write a run as `qsv-eval run` leaves it: its mark, and its files one further down."""
    write_run(folder / "model", {task: rows_of(task, list(said))}, **more)
    (folder / "run.json").write_text("{}")
    return folder


def test_one_run_is_found_from_above_and_from_within(tmp_path):
    run = marked_run(tmp_path / "sweep" / "one")
    assert [only_run(place) for place in (tmp_path, run, run / "model")] == [run, run, run / "model"]
    score_run(run)
    assert runs_below(tmp_path) == [run]


def test_of_several_none_is_taken_and_all_are_named(tmp_path):
    runs = [marked_run(tmp_path / name) for name in ("one", "two")]
    assert runs_below(tmp_path) == runs
    with pytest.raises(SetupError, match=rf"holds 2 runs, .* name one of: {runs[0]}@x=1, {runs[1]}@x=1$"):
        only_run(tmp_path, "@x=1")


def test_many_runs_are_counted(tmp_path):
    for number in range(10):
        marked_run(tmp_path / str(number))
    with pytest.raises(SetupError, match=r"holds 10 runs.*/7 and 2 more$"):
        only_run(tmp_path)


def test_a_folder_of_lmms_eval_is_a_run_and_one_of_scorings_is_not(tmp_path):
    rows = {TASK: rows_of(TASK, ["C", "A"])}
    write_run(tmp_path / "out" / "llava", rows, model="org/llava", answers=None)
    score_run(tmp_path / "out")
    assert runs_below(tmp_path / "out") == [tmp_path / "out" / "llava"]
    write_foreign(tmp_path / "out" / "qwen")
    with pytest.raises(SetupError, match="out: holds 2 runs"):
        only_run(tmp_path / "out")


def test_a_scoring_of_several_runs_at_once_is_refused_by_name(tmp_path):
    """An older `qsv-eval score` gave the newest replies of all checkpoints one file, which would go by the newest."""
    runs = [marked_run(tmp_path / name, model=f"org/{name}") for name in ("one", "two")]
    rescored = {"rescored": {"extractor": "strict"}, "model": None, "stamp": "20261109_000000"}
    mixed = write_run(tmp_path, {TASK: rows_of(TASK, ["C"])}, **rescored)
    with pytest.raises(SetupError, match=rf"{mixed}: is a later scoring above 2 runs \({runs[0]}/?.*, {runs[1]}"):
        load([tmp_path])
    mixed.unlink()
    for run in runs:
        score_run(run)
    scores = load([tmp_path]).scores
    assert set(scores["model"]) == {"org/one", "org/two"}
    assert len(scores[scores["shown"] & (scores["field"] == "")]) == 2
