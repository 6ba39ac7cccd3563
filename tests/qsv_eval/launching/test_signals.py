"""Ctrl-C and SIGTERM, sent to real processes."""

import os
import signal
import subprocess
import sys

import pytest

from qsv_eval.launching.signals import stop_on_signals

PROGRAM = """
import ctypes, sys, threading, time
from pathlib import Path
from qsv_eval.launching import signals

def ready():
    print("ready", flush=True)

def wait_in_python():
    ready()
    time.sleep(600)

def wait_outside_python():
    mutex = ctypes.create_string_buffer(64)  # zeroes: an unlocked mutex; a second lock waits for good
    lock = ctypes.CDLL(None).pthread_mutex_lock
    lock(mutex)
    threading.Timer(0.5, ready).start()  # when the main thread is in the lock
    lock(mutex)

signals._PATIENCE_S = 0.2
with signals.stop_on_signals(Path("out")):
    try:
        globals()[sys.argv[1]]()
    except KeyboardInterrupt:
        print("journal ended", flush=True)
        raise
"""


def stopped(how, number, **options):
    # The tests themselves may run under nohup, which what they start would inherit.
    heeding = f"import signal\nsignal.signal(signal.SIGHUP, signal.SIG_DFL)\n{PROGRAM}"
    command = [sys.executable, "-c", heeding, how]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes, **options) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=str
)
def test_a_signal_ends_in_one_line(number, code):
    returned, out, err = stopped("wait_in_python", number)
    assert (returned, out) == (code, "journal ended\n")
    assert err == "qsv-eval: stopped; 0 answers safe in out; give the same command again to go on\n"


def test_a_process_that_never_comes_back_to_python_ends_too():
    returned, out, err = stopped("wait_outside_python", signal.SIGTERM)
    assert (returned, out) == (143, "")
    assert err.startswith("qsv-eval: stopped; 0 answers")


def test_nohup_stays_nohup():
    """SIGHUP is ignored, as under nohup; only what comes after it ends the process."""
    with subprocess.Popen(
        ["nohup", sys.executable, "-c", PROGRAM, "wait_in_python"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143


def test_nothing_is_left_behind(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signals(tmp_path):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_last_line_counts_what_is_safe(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop, stop_on_signals(tmp_path):
        os.kill(os.getpid(), signal.SIGINT)
    assert stop.value.code == 130
    assert f"0 answers safe in {tmp_path}" in capsys.readouterr().err
