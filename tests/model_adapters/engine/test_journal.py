import os
import signal
import subprocess
import sys

import pytest

from qsv_eval.model_adapters.engine.journal import Journal, read_logs
from qsv_eval.model_adapters.engine.records import (
    AnswerStatus,
    Assignment,
    ExitReason,
    ProcessEnd,
    Record,
    TaskTotal,
    VideoUse,
)
from qsv_eval.model_adapters.errors import SetupError


def record(key, fate=AnswerStatus.ANSWERED, **values):
    return Record(key=key, task="t", doc_id=1, split="test", repeat=0, sample_id="q", fate=fate, **values)


def test_the_next_run_has_the_answer(tmp_path):
    journal = Journal(tmp_path / "journal")
    cubes = [(0, 3, 0.5, 3.5), (3, 4, 3.5, 4.0)]
    journal.append(record("a", text="B", videos=[VideoUse(timestamps_s=[0.5], cubes=cubes)], prompt_tokens=7))
    again = Journal(tmp_path / "journal")  # the first is still open: what is appended is on disk
    assert again.answer("a").text == "B"
    assert again.answer("a").videos[0].cubes == cubes
    assert again.answer("b") is None
    assert len(again) == 1


def test_failures_are_kept_and_tried_again(tmp_path):
    journal = Journal(tmp_path)
    journal.append(record("a", AnswerStatus.FAILED, reason="broken"))
    again = Journal(tmp_path)
    assert again.answer("a") is None
    assert [each.reason for each in again.records()] == ["broken"]


def test_torn_and_foreign_lines_are_ignored(tmp_path):
    journal = Journal(tmp_path)
    journal.append(record("a", text="A"))
    journal.append(record("b", text="B"))
    journal.end(ExitReason.DONE)
    [path] = tmp_path.glob("*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:-9])  # the process was killed while it wrote
    (tmp_path / "0.jsonl").write_text('{"no": "record"}\n[1, 2]\n\x00\n')
    again = Journal(tmp_path)
    assert (again.answer("a").text, again.answer("b")) == ("A", None)


def test_every_process_has_its_own_file(tmp_path):
    for key in "ab":
        journal = Journal(tmp_path)
        journal.append(record(key))
        journal.end(ExitReason.DONE)
    assert len(list(tmp_path.glob("*.jsonl"))) == 2
    assert len(Journal(tmp_path)) == 2


def test_a_journal_that_was_not_used_leaves_no_file(tmp_path):
    Journal(tmp_path).end(ExitReason.DONE)
    assert list(tmp_path.iterdir()) == []


def test_assignments_and_ends_are_read_back(tmp_path):
    journal = Journal(tmp_path)
    journal.begin(
        Assignment(
            run="r", rank=1, world_size=2, totals={"t": TaskTotal(total=3, known=1)}, questions=[("t", "q", "a")]
        )
    )
    journal.append(record("a", text="\u00e9"))
    journal.end(ExitReason.STOPPED, "interrupted")
    journal.end(ExitReason.DONE)
    [log] = read_logs(tmp_path)
    [assignment] = log.shares
    assert (assignment.rank, assignment.world_size, assignment.pid) == (1, 2, os.getpid())
    assert assignment.totals["t"] == TaskTotal(total=3, known=1)
    assert assignment.questions == [("t", "q", "a")]
    assert [each.text for each in log.records] == ["\u00e9"]
    assert log.end == ProcessEnd(how=ExitReason.STOPPED, reason="interrupted", at=log.end.at)


def test_degraded_answers_count_only_where_they_are_accepted(tmp_path):
    Journal(tmp_path).append(record("a", degraded=True))
    assert Journal(tmp_path).answer("a") is None
    assert Journal(tmp_path, accept_degraded=True).answer("a").degraded


FULL_DISK = """
import resource, signal, sys
from qsv_eval.model_adapters.engine.journal import Journal
from qsv_eval.model_adapters.engine.records import AnswerStatus, Record
from qsv_eval.model_adapters.errors import SetupError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
journal = Journal(sys.argv[1])
try:
    for i in range(100):
        key = {"key": str(i), "task": "t", "doc_id": 1, "split": "s", "repeat": 0, "sample_id": "q"}
        journal.append(Record(**key, fate=AnswerStatus.ANSWERED))
except SetupError as error:
    print(i, error)
"""


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True)
    i, _, message = done.stdout.strip().partition(" ")
    assert "could not be written (File too large); what was written before is safe" in message
    assert "\n" not in message
    assert 0 < int(i) < 100
    assert len(Journal(tmp_path)) == int(i)
    [path] = tmp_path.glob("*.jsonl")
    assert path.read_bytes().endswith(b"}\n")  # no half of a line stays


WRITER = """
import sys, time
from qsv_eval.model_adapters.engine.journal import Journal
from qsv_eval.model_adapters.engine.records import Record
journal = Journal(sys.argv[1])
for i in range(1000000):
    journal.append(Record(key=str(i), task="t", doc_id=1, split="s", repeat=0, sample_id="q", fate="answered"))
    print(i, flush=True)
"""


def test_a_killed_process_loses_at_most_the_answer_in_hand(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    for _ in range(50):
        written = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    journal = Journal(tmp_path)
    assert all(journal.answer(str(i)) for i in range(written + 1))


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="journal cannot be kept"):
        Journal(tmp_path / "file" / "journal")
