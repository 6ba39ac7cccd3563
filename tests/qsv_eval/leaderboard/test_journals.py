"""Frames and cubes of single answers, out of the journal beside a run's results."""

from run_files import write_results
from seen_runs import TASK, demo_rows, record_of, write_journal

from qsv_eval.leaderboard.journals import journal_beside, read_records
from qsv_eval.model_adapters.engine.journal import Fate, How, Journal, Share


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


def test_a_cell_that_has_the_answers_of_another_one_is_found(tmp_path):
    """A later sweep named one axis more, with the value that it had before: nothing was asked, nothing written."""
    rows = demo_rows(["right"] * 3)
    first, second = f"{TASK}@max_frames=8", f"{TASK}@max_frames=8,fps=1.0"
    journal = write_journal(tmp_path, [record_of(row, 8, task=first) for row in rows[:2]])
    later = Journal(journal)
    answered, unanswered = [(second, row["id"], f"{row['id']}-8") for row in (rows[0], rows[2])]
    later.begin(Share(run="2", rank=0, world_size=1, renamed=[answered, unanswered]))
    later.end(How.DONE)
    with next(journal.glob("*.jsonl")).open("ab") as file:
        file.write(b'{"share": {"run"')
    ids = {row["id"] for row in rows}
    found = read_records(journal, {second: ids})
    assert {name: record.key for name, record in found.items()} == {(second, rows[0]["id"]): answered[2]}
    assert set(read_records(journal, {first: ids, second: ids})) == {
        *((first, row["id"]) for row in rows[:2]),
        (second, rows[0]["id"]),
    }
