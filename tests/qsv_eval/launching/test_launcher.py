"""How many processes, and what the end of a launch means; the launches themselves are in test_launch.py."""

import signal
from datetime import UTC, datetime, timedelta

import pytest

from qsv_eval.launching.launcher import _without, next_step, process_layout
from qsv_eval.launching.supervisor import LaunchResult, RankExit
from qsv_eval.model_adapters.engine.journal import Journal
from qsv_eval.model_adapters.engine.records import AnswerStatus, Assignment, Record, TaskTotal
from qsv_eval.model_adapters.errors import SetupError

BEFORE = datetime.now(UTC) - timedelta(hours=1)


@pytest.mark.parametrize(
    ("asked", "gpus_each", "device", "gpus", "expected"),
    [
        ("auto", 1, None, 0, (1, True)),
        ("auto", 2, None, 0, (1, True)),
        ("auto", 1, None, 8, (8, False)),
        ("auto", 2, None, 8, (4, False)),
        ("auto", 1, "cpu", 8, (1, True)),
        ("auto", 2, "cuda", 5, (2, False)),
        ("4", 1, None, 8, (4, False)),
        ("4", 1, None, 0, (4, True)),
        ("4", 1, "cpu", 2, (4, True)),
        ("1", 1, "cuda:1", 2, (1, False)),
    ],
)
def test_processes_of_a_machine(asked, gpus_each, device, gpus, expected, monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert process_layout(asked, gpus_each, device, gpus) == expected


@pytest.mark.parametrize(
    ("asked", "gpus_each", "device", "gpus", "message"),
    [
        ("9", 1, None, 8, "--processes 9 with 1 GPU\\(s\\) each needs 9, and this machine has 8"),
        ("5", 2, None, 8, "needs 10, and this machine has 8"),
        ("2", 1, "cuda", 0, "this machine has 0"),
        ("auto", 2, None, 1, "needs 2, and this machine has 1"),
        ("2", 1, "cuda:1", 2, "--device cuda:1 is one device"),
        ("0", 1, None, 8, "give a number, or auto"),
        ("two", 1, None, 8, "give a number, or auto"),
    ],
)
def test_what_cannot_be(asked, gpus_each, device, gpus, message, monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(SetupError, match=message):
        process_layout(asked, gpus_each, device, gpus)


def test_under_another_launcher(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(SetupError, match="a launcher already started this one \\(WORLD_SIZE=4\\)"):
        process_layout("auto", 1, None, 0)


def ending(*ranks, stopped=None):
    return LaunchResult(tuple(ranks), stopped, BEFORE)


def spoke(rank, code, message=""):
    return RankExit(rank, 100 + rank, code, True, message)


def silent(rank, code):
    return RankExit(rank, 100 + rank, code, False)


def test_good_ends(tmp_path):
    assert next_step(ending(spoke(1, 0), spoke(0, 0)), tmp_path) == (0, ())
    assert next_step(ending(spoke(1, 0), spoke(0, 3)), tmp_path) == (3, ())


def test_a_set_up_that_is_wrong_is_one_line(tmp_path):
    code, lines = next_step(ending(spoke(0, 2, "no folder"), spoke(1, 2, "no folder"), silent(2, -15)), tmp_path)
    assert (code, lines) == (2, ("qsv-eval: no folder",))
    code, lines = next_step(ending(spoke(0, 2, "no folder"), spoke(1, 2, "disk full")), tmp_path)
    assert (code, lines) == (2, ("qsv-eval: rank 0: no folder", "qsv-eval: rank 1: disk full"))


def test_a_stop_says_how_to_go_on(tmp_path):
    code, [line] = next_step(ending(silent(0, None), spoke(1, 130), stopped=signal.SIGINT), tmp_path)
    assert code == 130
    assert line == f"qsv-eval: stopped; 0 answers safe in {tmp_path}; give the same command again to go on"


def test_a_death_names_rank_signal_and_what_is_missing(tmp_path):
    journal = Journal(tmp_path / "journal")
    questions = [("mme", sample_id, sample_id) for sample_id in "abcdefgh"]
    totals = {"mme": TaskTotal(total=8, known=0)}
    journal.begin(Assignment(run="r", rank=0, world_size=2, totals=totals, questions=questions))
    journal.append(
        Record(key="a", task="mme", doc_id=0, split="s", repeat=0, sample_id="a", fate=AnswerStatus.ANSWERED, text="A")
    )
    code, lines = next_step(ending(silent(1, -9), silent(0, -15)), tmp_path)
    assert code == 3
    assert lines[0].startswith("qsv-eval: rank 1 of 2 (pid 101) was killed by SIGKILL")
    assert lines[0].endswith("the other was ended")
    assert f"1 answer safe in {tmp_path}; 7 are missing: mme b, mme c, mme d, mme e, mme f …" in lines[1]
    assert f"qsv-eval status {tmp_path} --missing" in lines[1]
    assert lines[1].endswith("give the same command again to go on")


def test_a_death_before_anything_was_asked(tmp_path):
    code, lines = next_step(ending(silent(0, -11), silent(1, -15)), tmp_path)
    assert code == 3
    assert "rank 0 of 2 (pid 100) was killed by SIGSEGV;" in lines[0]
    assert "this run had not begun to ask" in lines[1]


def test_a_bug_keeps_its_code(tmp_path):
    code, lines = next_step(ending(spoke(1, 1, "KeyError: 'x'"), silent(0, -15)), tmp_path)
    assert code == 1
    assert "rank 1 of 2 (pid 101) stopped with exit code 1 (KeyError: 'x')" in lines[0]


def test_no_rank_was_started(tmp_path):
    code, [line] = next_step(ending(RankExit(0, None, None, False), RankExit(1, None, None, False)), tmp_path)
    assert code == 1
    assert "started no rank" in line


@pytest.mark.parametrize("words", [["--processes", "2"], ["--processes=2"], ["--processes", "--processes"]])
def test_the_ranks_get_the_same_command_line_without_processes(words):
    assert _without(["run", *words, "--tasks", "demo"], "--processes") == ["run", "--tasks", "demo"]
