"""What answers rest on and cost is read from the journal, each answer once."""

import pytest
from run_files import write_results
from seen_runs import TASK, demo_rows, record_of, write_journal

from qsv_eval.leaderboard.usage import PARTS, journal_beside, read_usage, usage_stated
from qsv_eval.model_adapters.engine.efficiency import Efficiency, summarise
from qsv_eval.model_adapters.engine.journal import Fate
from qsv_eval.model_adapters.stopwatch import STAGES


def test_every_stage_is_in_one_part():
    assert sorted(stage for stages in PARTS.values() for stage in stages) == sorted(STAGES)


def test_frames_really_used_and_their_cost(tmp_path):
    rows = demo_rows(["right"] * 20)
    counts = [*range(4, 80, 4), 420]
    journal = write_journal(tmp_path, [record_of(row, count) for row, count in zip(rows, counts, strict=True)])
    usage = read_usage(journal, {})[0][TASK]
    assert usage.answers == 20
    assert usage.frames == pytest.approx(sum(counts) / 20)
    assert usage.frames_p5 < 9 < 70 < usage.frames_p95 < 420
    assert usage.visual_tokens == pytest.approx(64 * sum(counts) / 4 / 20)
    assert usage.tokens_per_frame == pytest.approx(16)
    assert usage.total_s == pytest.approx(1.15 * sum(counts) / 8 / 20)
    assert usage.seconds["language model"] == pytest.approx(0.5 * sum(counts) / 8 / 20)
    assert usage.read_s == pytest.approx(0.25)


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
    usage, records = read_usage(journal, {TASK: {rows[0]["id"], rows[1]["id"]}})
    assert (usage[TASK].answers, usage[TASK].frames) == (1, 16)
    assert [(sample, len(one.videos[0].timestamps_s)) for (_, sample), one in records.items()] == [(rows[0]["id"], 16)]


def test_only_wanted_records_are_kept(tmp_path):
    rows = demo_rows(["right"] * 5)
    journal = write_journal(tmp_path, map(record_of, rows))
    assert read_usage(journal, {"qsv_other": {rows[0]["id"]}})[1] == {}
    assert set(read_usage(journal, {TASK: {rows[3]["id"]}})[1]) == {(TASK, rows[3]["id"])}


def test_a_journal_is_beside_its_results_or_one_further_up(tmp_path):
    journal = write_journal(tmp_path / "run", [])
    assert journal_beside(write_results(tmp_path / "run", {})) == journal
    assert journal_beside(write_results(tmp_path / "run" / "model", {})) == journal
    # A folder of the same name that is no run's is none.
    (tmp_path / "journal").mkdir()
    assert journal_beside(write_results(tmp_path / "other", {})) is None


def test_a_results_files_own_figures_count_only_where_they_are_about_all_questions():
    rows = demo_rows(["right"] * 3)
    process = Efficiency(stages={"vit": 3.0, "prefill": 1.5}, read_s=6.0)
    for row in rows:
        process.add_record(record_of(row, 8))
    stated = summarise([process])
    usage = usage_stated(stated, 3)
    assert (usage.frames, usage.frames_p5, usage.tokens_per_frame, usage.read_s) == (8, None, 16, 2.0)
    assert usage.seconds["vision tower"] == 1.0
    assert usage_stated(stated, 4) is None
    assert usage_stated(summarise([]), 3) is None
    assert usage_stated({}, 3) is None
