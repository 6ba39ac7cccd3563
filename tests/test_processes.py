"""Real runs of several processes: one is killed, one is interrupted, and another number of them finishes the work."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import psutil
import pytest

from qsv_eval.model_adapters.engine.journal import read_logs
from qsv_eval.model_adapters.engine.records import AnswerStatus
from qsv_eval.status.progress import RankState, read_status

QUESTIONS = 40


@pytest.fixture(scope="module")
def start(tiny, tmp_path_factory):
    """Starts `qsv-eval run` on the demo; its clips are drawn once for all tests here."""
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}
    environment.pop("QSV_DATA", None)
    options = ["--tasks", "demo", "--pretrained", str(tiny), "--max-frames", "16", "--dtype", "float32"]
    options += ["--device", "cpu", "--limit", str(QUESTIONS)]

    def started(output, *words):
        command = [sys.executable, "-m", "qsv_eval.cli", "run", *options, "--output", str(output), *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    return started


@pytest.fixture(scope="module")
def finish(start):
    def finished(output, *words):
        with start(output, *words) as process:
            out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err[-3000:]
        return out

    return finished


@pytest.fixture(scope="module")
def undisturbed(finish, tmp_path_factory):
    """The folder of one process that nothing happened to."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    finish(out)
    assert {share.world_size for share in shares(out)} == {1}
    return out


def logs_of(output):
    return read_logs(output / "journal")


def shares(output):
    return [share for log in logs_of(output) for share in log.shares]


def answers(output):
    records = [record for log in logs_of(output) for record in log.records if record.fate is AnswerStatus.ANSWERED]
    return {record.key: record.text for record in records}


def scores(output):
    latest = max(output.rglob("*_results.json"), key=os.path.getmtime)
    results = json.loads(latest.read_text())["results"]
    return {name: {key: value for key, value in told.items() if "stderr" not in key} for name, told in results.items()}


def wait_until(true, process, what):
    deadline = time.monotonic() + 120
    while not true():
        assert process.poll() is None, f"ended before {what}: {process.stderr.read()[-3000:]}"
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def in_the_middle(output, world_size=2, each=2):
    """Whether every rank has begun and has answered a little."""
    logs = [log for log in logs_of(output) if log.shares] if (output / "journal").is_dir() else []
    return len(logs) == world_size and all(len(log.records) >= each for log in logs)


def agree(out, undisturbed, processes):
    assert {share.world_size for share in shares(out)} == {processes}
    assert sorted(share.rank for share in shares(out)) == list(range(processes))
    assert answers(out) == answers(undisturbed)
    assert scores(out) == scores(undisturbed)


def family(process):
    return psutil.Process(process.pid).children(recursive=True)


def left_over(processes):
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_two_processes_agree_with_one_and_refuse_a_second_run(start, undisturbed, tmp_path):
    out = tmp_path / "out"
    with start(out, "--processes", "2") as first:
        wait_until(lambda: (out / ".lock.json").is_file(), first, "rank 0 had taken the folder")
        holder = json.loads((out / ".lock.json").read_text())["pid"]
        with start(out) as second:
            _, refusal = second.communicate(timeout=120)
        _, err = first.communicate(timeout=300)
    assert second.returncode == 2
    assert re.search(f"another run is active there \\(pid {holder} on", refusal.splitlines()[-1])
    assert first.returncode == 0, err[-3000:]
    agree(out, undisturbed, processes=2)
    assert {share.pid for share in shares(out) if share.rank == 0} == {holder}


@pytest.mark.slow
@pytest.mark.parametrize("processes", [3, 4])
def test_more_processes_agree_with_one(finish, undisturbed, tmp_path, processes):
    finish(tmp_path / "out", "--processes", str(processes))
    agree(tmp_path / "out", undisturbed, processes)


def test_a_killed_rank_ends_all_and_costs_only_the_answer_in_hand(start, finish, undisturbed, tmp_path):
    out = tmp_path / "out"
    with start(out, "--processes", "2") as process:
        wait_until(lambda: in_the_middle(out), process, "both ranks had answered something")
        assert {share.world_size for share in shares(out)} == {2}
        started = family(process)
        [victim] = {share.pid for share in shares(out) if share.rank == 1}
        os.kill(victim, signal.SIGKILL)
        killed_at = time.monotonic()
        _, err = process.communicate(timeout=60)
        took_s = time.monotonic() - killed_at
    assert took_s < 10  # the limit
    assert left_over(started) == []
    assert process.returncode == 3
    safe = answers(out)
    missing = read_status(out, datetime.now(UTC)).missing
    assert 0 < len(safe) < QUESTIONS
    assert len(missing) == QUESTIONS - len(safe)
    assert f"rank 1 of 2 (pid {victim}) was killed by SIGKILL" in err
    assert f"{len(safe)} answers safe in {out}; {len(missing)} are missing: {missing[0].task} " in err
    assert missing[0].sample_id in err
    assert "Traceback" not in err.split("qsv-eval: rank 1")[1]

    finish(out)
    last = max(shares(out), key=lambda share: share.started_at)
    assert last.world_size == 1
    [again] = [log for log in logs_of(out) if last in log.shares]
    assert sorted(record.key for record in again.records) == sorted(sample.key for sample in missing)
    assert answers(out) == answers(undisturbed)
    assert scores(out) == scores(undisturbed)


@pytest.mark.parametrize("processes", [1, 2])
def test_ctrl_c_stops_in_order_and_says_how_to_go_on(start, tmp_path, processes):
    out = tmp_path / "out"
    with start(out, "--processes", str(processes)) as process:
        wait_until(lambda: in_the_middle(out, processes), process, "every rank had answered something")
        assert {share.world_size for share in shares(out)} == {processes}
        started = family(process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert left_over(started) == []
    assert process.returncode == 130
    line = f"qsv-eval: stopped; {len(answers(out))} answers safe in {out}; give the same command again to go on"
    assert err.splitlines()[-1] == line
    assert {rank.state for rank in read_status(out, datetime.now(UTC)).ranks} == {RankState.STOPPED}
