"""`qsv-eval status` on journals as a run writes them, and as what goes wrong leaves them."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qsv_eval.cli import app
from qsv_eval.model_adapters.engine.journal import Journal
from qsv_eval.model_adapters.engine.records import AnswerStatus, Assignment, ExitReason, Record, TaskTotal
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.status.progress import RankState, SampleProgress, read_status, safe_answers
from qsv_eval.status.table import print_status, status_as_json

TOTALS = {"mme": TaskTotal(total=10, known=4)}


def share(rank, ids, *, run="r2", world_size=2, totals=TOTALS):
    questions = [("mme", sample_id, f"key-{sample_id}") for sample_id in ids]
    return Assignment(run=run, rank=rank, world_size=world_size, totals=totals, questions=questions)


def record(sample_id, fate=AnswerStatus.ANSWERED, **values):
    told = {"task": "mme", "sample_id": sample_id, "key": f"key-{sample_id}"} | values
    return Record(doc_id=1, split="test", repeat=0, fate=fate, **told)


def write(folder, shares, records=(), end=None):
    """Write one process's file, as the engine does; it belongs to this process."""
    journal = Journal(folder / "journal")
    for one in shares:
        journal.begin(one)
    for one in records:
        journal.append(one)
    if end:
        journal.end(*end)
    return journal


def status(folder, **later):
    return read_status(folder, datetime.now(UTC) + timedelta(**later))


def rewrite(journal, **values):
    """Give the shares in a file another host, process or time."""
    [path] = [journal._path]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if "share" in line:
            line["share"] |= values
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_run_in_the_middle(tmp_path):
    write(tmp_path, [share(0, "abc")], [record("a"), record("b"), record("b")])
    write(tmp_path, [share(1, "def")], [record("d", AnswerStatus.FAILED, reason="/v/d.mp4: truncated")])
    found = status(tmp_path)
    [task] = found.tasks
    assert (task.total, task.known, task.answered, task.failed) == (10, 4, 2, 1)
    assert (task.done, task.missing) == (6, 3)
    assert [(rank.rank, rank.answered, rank.failed, rank.share) for rank in found.ranks] == [(0, 2, 0, 3), (1, 0, 1, 3)]
    assert {rank.state for rank in found.ranks} == {RankState.RUNNING}
    assert {rank.pid for rank in found.ranks} == {os.getpid()}
    assert [sample.sample_id for sample in found.missing] == ["c", "e", "f"]
    assert found.running
    assert not found.complete


def test_a_journal_folder_does_as_well(tmp_path):
    write(tmp_path, [share(0, "a", world_size=1)], [record("a")])
    assert status(tmp_path / "journal").tasks == status(tmp_path).tasks


def test_complete(tmp_path):
    totals = {"mme": TaskTotal(total=3, known=1)}
    write(tmp_path, [share(0, "ab", world_size=1, totals=totals)], [record("a"), record("b")], (ExitReason.DONE,))
    found = status(tmp_path)
    assert found.complete
    assert not found.running
    assert found.ranks[0].state is RankState.DONE
    assert found.left_s is None


def test_a_failure_that_was_answered_after_all_is_no_failure(tmp_path):
    totals = {"mme": TaskTotal(total=1, known=0)}
    write(tmp_path, [share(0, "a", world_size=1, totals=totals)], [record("a", AnswerStatus.FAILED), record("a")])
    assert status(tmp_path).complete


def test_failures_with_one_reason_are_one(tmp_path):
    reasons = ["/v/a.mp4: truncated (at 3 s)", "/v/b.mp4: truncated (at 3 s)", "out of memory: 3 GB"]
    failed = [record(name, AnswerStatus.FAILED, reason=reason) for name, reason in zip("abc", reasons, strict=True)]
    write(tmp_path, [share(0, "abc", world_size=1)], failed)
    found = [(failure.reason, len(failure.samples)) for failure in status(tmp_path).failures]
    assert found == [("truncated (at 3 s)", 2), ("out of memory: 3 GB", 1)]


def test_questions_that_could_not_be_named_are_told_apart_by_their_id(tmp_path):
    """They are in no share: they failed before there was a plan."""
    totals = {"mme": TaskTotal(total=3, known=0)}
    failed = [record(name, AnswerStatus.FAILED, key="", reason="no document") for name in "ab"]
    write(tmp_path, [share(0, "c", world_size=1, totals=totals)], failed)
    found = status(tmp_path)
    assert (found.tasks[0].total, found.tasks[0].failed, found.tasks[0].missing) == (3, 2, 1)
    assert found.missing == (SampleProgress("mme", "c", "key-c"),)
    assert found.ranks[0].share == 1


def test_the_latest_of_several_runs(tmp_path):
    first = write(tmp_path, [share(0, "abcd", run="r1", world_size=1)], [record("a")])
    rewrite(first, started_at="2020-01-01T00:00:00.000+00:00")
    write(tmp_path, [share(0, "bc")], [record("b")], (ExitReason.DONE,))
    write(tmp_path, [share(1, "d")], [], (ExitReason.DONE,))
    found = status(tmp_path)
    assert (found.run, found.world_size, len(found.ranks)) == ("r2", 2, 2)
    assert {sample.sample_id for sample in found.missing} == {"c", "d"}


def test_a_run_with_two_kinds_of_requests(tmp_path):
    """Each kind has a name of its own; rank 1 died before the second."""
    others = {"other": TaskTotal(total=2, known=0)}
    second = Assignment(run="r2, second", rank=0, world_size=2, totals=others, questions=[("other", "x", "key-x")])
    write(tmp_path, [share(0, "ab"), second], [record("a"), record("x", task="other")])
    write(tmp_path, [share(1, "cd")], [record("c")])
    found = status(tmp_path)
    assert [(task.task, task.total, task.answered) for task in found.tasks] == [("mme", 10, 2), ("other", 2, 1)]
    assert [(rank.rank, rank.answered, rank.share) for rank in found.ranks] == [(0, 2, 3), (1, 1, 2)]
    assert [sample.sample_id for sample in found.missing] == ["b", "d"]


def test_ends_and_their_reasons(tmp_path):
    write(tmp_path, [share(0, "a")], [], (ExitReason.STOPPED,))
    write(tmp_path, [share(1, "b")], [], (ExitReason.FAILED, "the disk is full"))
    found = status(tmp_path)
    assert [(rank.state, rank.reason) for rank in found.ranks] == [
        (RankState.STOPPED, ""),
        (RankState.FAILED, "the disk is full"),
    ]


def test_a_rank_that_was_not_heard_of(tmp_path):
    write(tmp_path, [share(1, "a", world_size=3)])
    assert [rank.state for rank in status(tmp_path).ranks] == [RankState.UNHEARD, RankState.RUNNING, RankState.UNHEARD]


WRITER = """
import sys, time
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from test_progress import record, share, write
journal = write(Path(sys.argv[1]), [share(0, "abc", world_size=1)], [record("a")])
print("written", flush=True)
time.sleep(600)
"""


def test_a_killed_process(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path), str(Path(__file__).parent)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "written\n"
    assert status(tmp_path).ranks[0].state is RankState.RUNNING
    process.send_signal(signal.SIGKILL)
    while status(tmp_path).ranks[0].state is RankState.RUNNING:
        time.sleep(0.01)
    assert status(tmp_path).ranks[0].state is RankState.KILLED  # also while it is a zombie
    process.communicate()
    assert status(tmp_path).ranks[0].state is RankState.KILLED


def test_another_process_with_the_same_number(tmp_path):
    journal = write(tmp_path, [share(0, "a", world_size=1)])
    rewrite(journal, started_at="2020-01-01T00:00:00.000+00:00")  # long before this process was there
    assert status(tmp_path).ranks[0].state is RankState.KILLED


def test_a_process_on_another_host(tmp_path):
    journal = write(tmp_path, [share(0, "a", world_size=1)])
    rewrite(journal, host="elsewhere", pid=1)
    assert status(tmp_path).ranks[0].state is RankState.RUNNING
    assert status(tmp_path, hours=1).ranks[0].state is RankState.SILENT


def test_rate_and_time_left(tmp_path):
    """Two of six questions took the ten minutes since the start, both in the last five."""
    journal = write(tmp_path, [share(0, "abcdef", world_size=1)], [record("a"), record("b")])
    start = datetime.now(UTC) - timedelta(minutes=10)
    rewrite(journal, started_at=start.isoformat(timespec="milliseconds"))
    found = status(tmp_path)
    assert found.per_minute == pytest.approx(0.2, rel=0.02)
    assert found.recent_per_minute == pytest.approx(0.4, rel=0.02)
    assert found.left_s == pytest.approx(600, rel=0.02)


def test_what_is_printed(tmp_path, capsys):
    write(
        tmp_path,
        [share(0, "abcdefg", world_size=1)],
        [record("a", AnswerStatus.FAILED, reason="broken")],
        (ExitReason.STOPPED,),
    )
    print_status(status(tmp_path))
    shown = capsys.readouterr().out
    for words in (
        "run r2: incomplete",
        "4/10",
        "0/7",
        "stopped",
        "failed, 1: broken (mme a)",
        "missing, 6: mme b, mme c",
    ):
        assert words in shown
    assert f"(all: qsv-eval status {tmp_path} --missing)" in shown


def test_reasons_are_not_markup(tmp_path, capsys):
    reason = "RuntimeError: [/gloo/pair.cc:561] Connection closed by peer" + " and more" * 99
    write(
        tmp_path,
        [share(0, "a", world_size=1)],
        [record("a", AnswerStatus.FAILED, reason=reason)],
        (ExitReason.FAILED, reason),
    )
    print_status(status(tmp_path))
    assert capsys.readouterr().out.count("[/gloo/pair.cc:561]") == 2


def test_json_holds_the_same(tmp_path):
    write(tmp_path, [share(0, "ab", world_size=1)], [record("a", AnswerStatus.FAILED, reason="broken")])
    plain = json.loads(json.dumps(status_as_json(status(tmp_path))))
    assert plain["tasks"][0]["done"] == 4
    assert plain["missing"] == [{"task": "mme", "sample_id": "b", "key": "key-b"}]
    assert plain["failures"][0]["samples"][0]["sample_id"] == "a"
    assert plain["ranks"][0]["state"] == "running"
    assert plain["complete"] is False


def test_exit_codes_and_all_missing_names(tmp_path):
    totals = {"mme": TaskTotal(total=9, known=0)}
    journal = write(tmp_path, [share(0, "abcdefghi", world_size=1, totals=totals)], [record("a")])
    done = CliRunner().invoke(app, ["status", str(tmp_path), "--missing"])
    assert (done.exit_code, done.stdout.splitlines()) == (3, [f"mme\t{name}" for name in "bcdefghi"])
    for name in "bcdefghi":
        journal.append(record(name))
    assert CliRunner().invoke(app, ["status", str(tmp_path), "--json"]).exit_code == 0
    for nothing in (tmp_path / "none", tmp_path.parent / "empty"):
        (tmp_path.parent / "empty").mkdir(exist_ok=True)
        assert isinstance(CliRunner().invoke(app, ["status", str(nothing)]).exception, SetupError)


def test_answers_that_are_safe(tmp_path):
    write(tmp_path, [share(0, "ab", run="r1")], [record("a"), record("b", AnswerStatus.FAILED)])
    write(tmp_path, [share(0, "ab")], [record("a"), record("c")])
    assert safe_answers(tmp_path) == 2
    assert safe_answers(tmp_path / "nothing") == 0
