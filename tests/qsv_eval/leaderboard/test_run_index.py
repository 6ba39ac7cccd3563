"""Files that belong to a results file, also if a run has several."""

from run_files import rows_of, write_results, write_run
from seen_runs import TASK, demo_rows, record_of, write_journal

from qsv_eval.leaderboard.load import load
from qsv_eval.leaderboard.run_index import journal_beside, origins_of, read_records
from qsv_eval.model_adapters.engine.journal import Journal
from qsv_eval.model_adapters.engine.metrics import AnswerCost, summarise_costs
from qsv_eval.model_adapters.engine.records import AnswerStatus, Assignment, ExitReason
from qsv_eval.score import score_run

OTHER = "qsv_mvbench"


def two_sittings(folder):
    """Write a run that was resumed with another task, and score all of it later."""
    rows = demo_rows(["right", "other"])
    used = {TASK: summarise_costs([AnswerCost.of(record_of(row, 8)) for row in rows])}
    keys = {"configs": {TASK: {"cluster_key": "clip", "score_key": "points"}}}
    write_run(folder / "model", {TASK: rows}, usage=used, **keys)
    used = {OTHER: summarise_costs([AnswerCost.of(record_of(row, 16)) for row in rows])}
    write_run(folder / "model", {OTHER: rows_of(OTHER, ["C", "A"])}, stamp="20261102_000000", usage=used)
    write_journal(folder, map(record_of, rows))
    return score_run(folder).results_file


def test_a_later_scoring_has_the_usage_and_the_keys_of_every_sitting(tmp_path):
    file = two_sittings(tmp_path / "run")
    origin = origins_of([tmp_path / "run"])[f"run/{file.name}"]
    assert (origin.usage(TASK).frames, origin.usage(OTHER).frames) == (8, 16)
    assert (origin.samples(TASK).cluster_key, origin.samples(TASK).score_key) == ("clip", "points")
    assert origin.journal == tmp_path / "run" / "journal"
    assert origin.usage("qsv_nothing") is None


def test_a_protocol_is_completed_by_the_sitting_that_had_the_task(tmp_path):
    """Of another model, what moved the answers is in the results file alone."""
    for stamp, task, tokens in (("20261101_000000", OTHER, 16), ("20261102_000000", "qsv_videomme", 32)):
        config = {"model": "llava", "model_args": f"pretrained=org/llava,frames={tokens}"}
        rows = {task: rows_of(task, ["C", "A"])}
        write_run(tmp_path / "llava", rows, model="org/llava", answers=None, config=config, stamp=stamp)
    score_run(tmp_path)
    board = load([tmp_path])
    headlines = board.scores[board.scores["field"] == ""]
    places = zip(headlines["task"], headlines["protocol"], strict=True)
    frames = [(task, board.protocols[digest]["answers"]["frames"]) for task, digest in places]
    assert sorted(frames) == [(OTHER, "16")] * 2 + [("qsv_videomme", "32")] * 2


def test_the_last_answer_counts_and_failures_do_not(tmp_path):
    rows = demo_rows(["right"] * 2)
    records = [
        record_of(rows[0], 8),
        record_of(rows[0], 16),
        record_of(rows[1], 420, fate=AnswerStatus.FAILED, reason="out of memory"),
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
    later.begin(Assignment(run="2", rank=0, world_size=1, renamed=[answered, unanswered]))
    later.end(ExitReason.DONE)
    with next(journal.glob("*.jsonl")).open("ab") as file:
        file.write(b'{"share": {"run"')
    ids = {row["id"] for row in rows}
    found = read_records(journal, {second: ids})
    assert {name: record.key for name, record in found.items()} == {(second, rows[0]["id"]): answered[2]}
    assert set(read_records(journal, {first: ids, second: ids})) == {
        *((first, row["id"]) for row in rows[:2]),
        (second, rows[0]["id"]),
    }
