"""Frames and cubes of single answers, out of the journal beside a run's results."""

from run_files import write_results
from seen_runs import TASK, demo_rows, record_of, write_journal

from qsv_eval.leaderboard.journals import journal_beside, read_records
from qsv_eval.model_adapters.engine.journal import Fate


def test_the_last_answer_counts_and_failures_do_not(tmp_path):
    rows = demo_rows(["right"] * 2)
    records = [
        record_of(rows[0], 8),
        record_of(rows[0], 16),
        record_of(rows[1], 420, fate=Fate.FAILED, reason="out of memory"),
    ]
    journal = write_journal(tmp_path, records)
    with next(journal.glob("*.jsonl")).open("ab") as file:
        file.write(b'{"key": "torn", "task": "qsv_d')
    found = read_records(journal, {TASK: {rows[0]["id"], rows[1]["id"]}})
    assert [(sample, len(one.videos[0].timestamps_s)) for (_, sample), one in found.items()] == [(rows[0]["id"], 16)]


def test_only_wanted_records_are_kept(tmp_path):
    rows = demo_rows(["right"] * 5)
    journal = write_journal(tmp_path, map(record_of, rows))
    assert read_records(journal, {"qsv_other": {rows[0]["id"]}}) == {}
    assert set(read_records(journal, {TASK: {rows[3]["id"]}})) == {(TASK, rows[3]["id"])}
    assert read_records(journal, {}) == {}


def test_an_id_may_hold_any_text(tmp_path):
    [row] = demo_rows(["right"])
    odd = 'a"b\\c \u00e9\n'
    journal = write_journal(tmp_path, [record_of(row, sample_id=odd)])
    assert set(read_records(journal, {TASK: {odd}})) == {(TASK, odd)}


def test_a_journal_is_beside_its_results_or_one_further_up(tmp_path):
    journal = write_journal(tmp_path / "run", [])
    assert journal_beside(write_results(tmp_path / "run", {})) == journal
    assert journal_beside(write_results(tmp_path / "run" / "model", {})) == journal
    # A folder of the same name that is no run's is none.
    (tmp_path / "journal").mkdir()
    assert journal_beside(write_results(tmp_path / "other", {})) is None
