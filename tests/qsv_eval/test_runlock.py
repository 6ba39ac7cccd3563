import errno
import os
import signal
import socket
import subprocess
import sys

import pytest

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.modelargs import ModelArgs
from qsv_eval.run import run
from qsv_eval.runlock import hold

HOLDER = """
import sys, time
from pathlib import Path
from qsv_eval.runlock import hold
with hold(Path(sys.argv[1])):
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
        hold(tmp_path / "out"),
    ):
        pass
    assert socket.gethostname() in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_killed_run_blocks_nobody(tmp_path, other_run):
    os.kill(other_run.pid, signal.SIGKILL)
    other_run.wait()
    with hold(tmp_path / "out"):
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
        with hold(tmp_path):
            pass
    with hold(tmp_path), pytest.raises(SetupError, match=f"pid {os.getpid()}"), hold(tmp_path):
        pass


def test_an_unused_folder_is_taken_away_again_and_a_used_one_is_not(tmp_path):
    with hold(tmp_path / "a" / "b"):
        pass
    assert list(tmp_path.iterdir()) == []
    with hold(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "answer").write_text("")
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == [".lock", "answer"]


def test_a_file_system_without_locks(tmp_path, monkeypatch, capsys):
    def no_locks(*args, **kwargs):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("qsv_eval.runlock.FileLock.acquire", no_locks)
    with hold(tmp_path / "out"):
        (tmp_path / "out" / "answer").write_text("")
    assert "a second run here would not be noticed" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot be made"), hold(tmp_path / "file" / "out"):
        pass
