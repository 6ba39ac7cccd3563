"""What is read of a run: samples by the names of the tables, the journal's lines by the tasks' own."""

from seen_runs import TASK, write_seen_run

from qsv_eval.leaderboard.origins import origins_of
from qsv_eval.leaderboard.page.runs import RunFiles, read_run


def test_the_journal_is_searched_for_the_tasks_own_name(tmp_path):
    [origin] = origins_of([write_seen_run(tmp_path / "run", ["right", "other"])]).values()
    found = read_run(RunFiles({"as the tables say": origin.samples(TASK), "none": None}, origin.journal, 9))
    ids = {sample["id"] for sample in found.chosen["as the tables say"].samples}
    assert set(found.looked) == {("as the tables say", one) for one in ids}


def test_why_there_are_no_samples_is_text_that_can_be_seen(tmp_path):
    [origin] = origins_of([write_seen_run(tmp_path / "run", ["right"])]).values()
    file = origin.samples(TASK)
    damaged = file.path.with_name("\x1b[31m.jsonl")
    damaged.write_text("no sample\n")
    found = read_run(RunFiles({TASK: file._replace(path=damaged)}, None, 9))
    assert found.chosen[TASK].startswith(r"\x1b[31m.jsonl:1: is no sample")
