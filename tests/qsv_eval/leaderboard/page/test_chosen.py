"""Which samples a page has: wrong ones first, of ours by their outcomes and of others by their scores."""

import pytest
from run_files import write_foreign
from seen_runs import TASK, write_seen_run

from qsv_eval.leaderboard.origins import origins_of
from qsv_eval.leaderboard.page.chosen import choose_samples
from qsv_eval.leaderboard.samples import read_samples
from qsv_eval.model_adapters.engine.failure import ERROR_REPLY
from qsv_eval.model_adapters.errors import SetupError

SAID = ["right", "other", "hm", "right", "", ERROR_REPLY, "other"]


def file_of(folder, task=TASK):
    [origin] = origins_of([folder]).values()
    return origin.samples(task)


def test_wrong_ones_come_first_and_all_are_counted(tmp_path):
    file = file_of(write_seen_run(tmp_path / "run", SAID))
    chosen = choose_samples(file, 5)
    ids = list(read_samples(file)[0]["id"])
    assert [sample["outcome"] for sample in chosen.samples] == ["wrong", "wrong", "unparsed", "empty", "error"]
    assert [sample["id"] for sample in chosen.samples] == [ids[place] for place in (1, 6, 2, 4, 5)]
    assert chosen.total == len(SAID)


@pytest.mark.parametrize("most", [1, 99])
def test_no_more_than_are_wanted(tmp_path, most):
    chosen = choose_samples(file_of(write_seen_run(tmp_path / "run", SAID)), most)
    assert len(chosen.samples) == min(most, len(SAID))
    assert chosen.total == len(SAID)


def test_samples_of_lmms_evals_own_go_by_their_scores(tmp_path):
    file = file_of(write_foreign(tmp_path / "run", scores=(1.0, 0.0, 1.0, 0.0)).parent, "videomme")
    assert [sample["id"] for sample in choose_samples(file, 9).samples] == ["q1", "q3", "q0", "q2"]


def test_a_line_that_is_not_shown_is_checked_too(tmp_path):
    file = file_of(write_seen_run(tmp_path / "run", SAID))
    whole = file.path.read_text()
    for damage, says in ((whole, "ids occur twice"), ("{}\n", ":8: is no sample"), (whole[:200], ":8: is no sample")):
        file.path.write_text(whole + damage)
        with pytest.raises(SetupError, match=says):
            choose_samples(file, 1)
