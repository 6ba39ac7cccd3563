"""Samples on the page: wrong ones first, by outcome in our tasks and by score in others."""

import pytest
from run_files import write_foreign
from seen_runs import TASK, write_seen_run

from qsv_eval.leaderboard.page.read_run import RunFiles, read_run, select_samples
from qsv_eval.leaderboard.run_index import origins_of
from qsv_eval.leaderboard.samples import read_samples
from qsv_eval.model_adapters.engine.failure import ERROR_REPLY
from qsv_eval.model_adapters.errors import SetupError

SAID = ["right", "other", "hm", "right", "", ERROR_REPLY, "other"]


def file_of(folder, task=TASK):
    [origin] = origins_of([folder]).values()
    return origin.samples(task)


def test_wrong_ones_come_first_and_all_are_counted(tmp_path):
    file = file_of(write_seen_run(tmp_path / "run", SAID))
    chosen = select_samples(file, 5)
    ids = list(read_samples(file)[0]["id"])
    assert [sample["outcome"] for sample in chosen.samples] == ["wrong", "wrong", "unparsed", "empty", "error"]
    assert [sample["id"] for sample in chosen.samples] == [ids[place] for place in (1, 6, 2, 4, 5)]
    assert chosen.total == len(SAID)


@pytest.mark.parametrize("most", [1, 99])
def test_no_more_than_are_wanted(tmp_path, most):
    chosen = select_samples(file_of(write_seen_run(tmp_path / "run", SAID)), most)
    assert len(chosen.samples) == min(most, len(SAID))
    assert chosen.total == len(SAID)


def test_samples_of_lmms_evals_own_go_by_their_scores(tmp_path):
    file = file_of(write_foreign(tmp_path / "run", scores=(1.0, 0.0, 1.0, 0.0)).parent, "videomme")
    assert [sample["id"] for sample in select_samples(file, 9).samples] == ["q1", "q3", "q0", "q2"]


def test_a_line_that_is_not_shown_is_checked_too(tmp_path):
    file = file_of(write_seen_run(tmp_path / "run", SAID))
    whole = file.path.read_text()
    for damage, says in ((whole, "repeated ids?"), ("{}\n", ":8: not a sample"), (whole[:200], ":8: not a sample")):
        file.path.write_text(whole + damage)
        with pytest.raises(SetupError, match=says):
            select_samples(file, 1)


def test_the_journal_is_searched_for_the_tasks_own_name(tmp_path):
    [origin] = origins_of([write_seen_run(tmp_path / "run", ["right", "other"])]).values()
    found = read_run(RunFiles({"as the tables say": origin.samples(TASK), "none": None}, origin.journal, 9))
    ids = {sample["id"] for sample in found.samples["as the tables say"].samples}
    assert set(found.frames) == {("as the tables say", one) for one in ids}


def test_why_there_are_no_samples_is_text_that_can_be_seen(tmp_path):
    [origin] = origins_of([write_seen_run(tmp_path / "run", ["right"])]).values()
    file = origin.samples(TASK)
    damaged = file.path.with_name("\x1b[31m.jsonl")
    damaged.write_text("no sample\n")
    found = read_run(RunFiles({TASK: file._replace(path=damaged)}, None, 9))
    assert found.samples[TASK].startswith(r"\x1b[31m.jsonl:1: not a sample")
