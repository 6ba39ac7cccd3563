"""A campaign: twenty kills at random moments, with changing numbers of processes, and the scores of a quiet run."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from qsv_eval.model_adapters.engine.journal import read_logs
from qsv_eval.model_adapters.engine.records import AnswerStatus

KILLS, QUESTIONS, BATCH_SIZE = 20, 420, 2


@pytest.fixture(scope="module")
def start(tiny, tmp_path_factory):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}
    environment.pop("QSV_DATA", None)
    options = ["--tasks", "demo", "--pretrained", str(tiny), "--max-frames", "16", "--dtype", "float32"]
    options += ["--device", "cpu", "--limit", str(QUESTIONS), "--batch-size", str(BATCH_SIZE)]

    def started(output: Path, processes: int) -> subprocess.Popen:
        words = [*options, "--output", str(output), "--processes", str(processes)]
        command = [sys.executable, "-m", "qsv_eval.cli", "run", *words]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)

    return started


def answers_of(output: Path) -> list:
    journal = output / "journal"
    records = [record for log in read_logs(journal) for record in log.records] if journal.is_dir() else []
    return [record for record in records if record.fate is AnswerStatus.ANSWERED]


def scores_of(output: Path) -> dict:
    latest = max(output.rglob("*_results.json"), key=os.path.getmtime)
    return json.loads(latest.read_text())["results"]


def kill_in_the_middle(process: subprocess.Popen, output: Path, rng: random.Random) -> None:
    """Wait until some answers more are there, and then kill every process of the run at once."""
    known, deadline = len(answers_of(output)), time.monotonic() + 120
    enough = known + rng.randint(0, 18)
    while len(answers_of(output)) < enough and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(rng.uniform(0.0, 0.05))
    family = [*psutil.Process(process.pid).children(recursive=True), process]
    for one in family:
        try:
            one.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    process.wait()


@pytest.mark.slow
def test_twenty_kills_leave_no_trace(start, tmp_path):
    quiet, killed = tmp_path / "quiet", tmp_path / "killed"
    assert start(quiet, 1).wait(900) == 0
    rng = random.Random(20)
    for number in range(KILLS):
        kill_in_the_middle(start(killed, rng.choice([1, 2, 3])), killed, rng)
        kept = len(answers_of(killed))
        print(f"kill {number + 1}: {kept} answers kept")
        assert kept < QUESTIONS
    assert start(killed, 2).wait(900) == 0
    for log in read_logs(killed / "journal"):
        for share in log.shares:  # no run was going to ask what another had answered before it began
            before = {one.key for one in answers_of(killed) if one.written_at < share.started_at}
            assert not before & {key for _, _, key in share.questions}
    asked = [record.key for record in answers_of(killed)]
    assert len(asked) == len(set(asked)) == QUESTIONS
    assert {r.key: r.text for r in answers_of(killed)} == {r.key: r.text for r in answers_of(quiet)}
    told, expected = scores_of(killed)["qsv_demo"], scores_of(quiet)["qsv_demo"]
    # lmms-eval sums up its standard errors in the order of the processes.
    errors = {name for name, value in expected.items() if "stderr" in name and isinstance(value, float)}
    assert {name: told[name] for name in errors} == pytest.approx({name: expected[name] for name in errors}, rel=1e-12)
    assert {name: told[name] for name in told.keys() - errors} == {
        name: expected[name] for name in expected.keys() - errors
    }
