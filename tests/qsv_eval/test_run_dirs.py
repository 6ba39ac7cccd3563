"""Which run a file below a folder is of, and what is refused where there are several."""

import errno
import os
import signal
import socket
import subprocess
import sys

import pytest
from run_files import rows_of, write_foreign, write_run

from qsv_eval.leaderboard.load import load
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.model_args import ModelArgs
from qsv_eval.run import run
from qsv_eval.run_dirs import lock_run, only_run, runs_below
from qsv_eval.score import score_run

TASK = "qsv_mvbench"


def marked_run(folder, task=TASK, said="CCA", **more):
    """Write a run as `qsv-eval run` leaves it: its mark, and its files one further down."""
    write_run(folder / "model", {task: rows_of(task, list(said))}, **more)
    (folder / "run.json").write_text("{}")
    return folder


def test_one_run_is_found_from_above_and_from_within(tmp_path):
    run = marked_run(tmp_path / "sweep" / "one")
    assert [only_run(place) for place in (tmp_path, run, run / "model")] == [run, run, run / "model"]
    score_run(run)
    assert runs_below(tmp_path) == [run]


def test_of_several_none_is_taken_and_all_are_named(tmp_path):
    runs = [marked_run(tmp_path / name) for name in ("one", "two")]
    assert runs_below(tmp_path) == runs
    with pytest.raises(SetupError, match=rf"holds 2 runs, .* name one of: {runs[0]}@x=1, {runs[1]}@x=1$"):
        only_run(tmp_path, "@x=1")


def test_many_runs_are_counted(tmp_path):
    for number in range(10):
        marked_run(tmp_path / str(number))
    with pytest.raises(SetupError, match=r"holds 10 runs.*/7 and 2 more$"):
        only_run(tmp_path)


def test_a_folder_of_lmms_eval_is_a_run_and_one_of_scorings_is_not(tmp_path):
    rows = {TASK: rows_of(TASK, ["C", "A"])}
    write_run(tmp_path / "out" / "llava", rows, model="org/llava", answers=None)
    score_run(tmp_path / "out")
    assert runs_below(tmp_path / "out") == [tmp_path / "out" / "llava"]
    write_foreign(tmp_path / "out" / "qwen")
    with pytest.raises(SetupError, match="out: holds 2 runs"):
        only_run(tmp_path / "out")


def test_a_scoring_of_several_runs_at_once_is_refused_by_name(tmp_path):
    """An older `qsv-eval score` gave the newest replies of all checkpoints one file, which would go by the newest."""
    runs = [marked_run(tmp_path / name, model=f"org/{name}") for name in ("one", "two")]
    rescored = {"rescored": {"extractor": "strict"}, "model": None, "stamp": "20261109_000000"}
    mixed = write_run(tmp_path, {TASK: rows_of(TASK, ["C"])}, **rescored)
    with pytest.raises(SetupError, match=rf"{mixed}: was written by .* above 2 runs \({runs[0]}/?.*, {runs[1]}"):
        load([tmp_path])
    mixed.unlink()
    for folder in runs:
        score_run(folder)
    scores = load([tmp_path]).scores
    assert set(scores["model"]) == {"org/one", "org/two"}
    assert len(scores[scores["shown"] & (scores["field"] == "")]) == 2


HOLDER = """
import sys, time
from pathlib import Path
from qsv_eval.run_dirs import lock_run
with lock_run(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def options(pretrained, **more):
    return ModelArgs.parse({"pretrained": pretrained, "device": "cpu", **more})


@pytest.fixture
def other_run(tmp_path):
    """Another process that holds `tmp_path / "out"`."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_run_is_refused_and_told_who_holds_the_folder(tmp_path, other_run):
    with (
        pytest.raises(SetupError, match=f"another run is active there \\(pid {other_run.pid} on") as refused,
        lock_run(tmp_path / "out"),
    ):
        pass
    assert socket.gethostname() in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_killed_run_blocks_nobody(tmp_path, other_run):
    os.kill(other_run.pid, signal.SIGKILL)
    other_run.wait()
    with lock_run(tmp_path / "out"):
        pass


def test_a_run_refuses_before_a_model_is_loaded(tmp_path, other_run, monkeypatch):
    with pytest.raises(SetupError, match="another run is active"):
        run(["demo"], options("no such model"), tmp_path / "out")
    # Another rank of that run does not ask for the lock; it comes as far as the model, which does not exist.
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SetupError, match="no such"):
        run(["demo"], options(str(tmp_path / "no such model")), tmp_path / "out")


def test_one_after_the_other_and_twice_at_once_in_one_process(tmp_path):
    for _ in range(2):
        with lock_run(tmp_path):
            pass
    with lock_run(tmp_path), pytest.raises(SetupError, match=f"pid {os.getpid()}"), lock_run(tmp_path):
        pass


def test_an_unused_folder_is_taken_away_again_and_a_used_one_is_not(tmp_path):
    with lock_run(tmp_path / "a" / "b"):
        pass
    assert list(tmp_path.iterdir()) == []
    with lock_run(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "answer").write_text("")
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == [".lock", "answer"]


def test_a_file_system_without_locks(tmp_path, monkeypatch, capsys):
    def no_locks(*args, **kwargs):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("qsv_eval.run_dirs.FileLock.acquire", no_locks)
    with lock_run(tmp_path / "out"):
        (tmp_path / "out" / "answer").write_text("")
    assert "a second run here would not be noticed" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot be made"), lock_run(tmp_path / "file" / "out"):
        pass
