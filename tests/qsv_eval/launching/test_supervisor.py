"""The launcher and its supervisor with real processes that do what ranks do when things go wrong."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from qsv_eval.launching.rank_status import RankNote
from qsv_eval.launching.supervisor import LaunchPlan, LaunchResult, RankExit, launch

STUB = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
from qsv_eval.launching.rank_status import note_end, note_start

folder, how = Path(sys.argv[1]), sys.argv[2]
rank = int(os.environ["RANK"])
note_start()
names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "OMP_NUM_THREADS", "MASTER_PORT", "ACCELERATE_USE_CPU")
helper = subprocess.Popen(["sleep", "600"], start_new_session=True).pid if how != "well" else None
told = {"pid": os.getpid(), "helper": helper} | {name: os.environ.get(name) for name in names}
(folder / f"draft-{rank}").write_text(json.dumps(told))
os.replace(folder / f"draft-{rank}", folder / f"rank-{rank}.json")
while len(list(folder.glob("rank-*"))) < int(os.environ["WORLD_SIZE"]):
    time.sleep(0.01)
if how == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if how in ("stubborn", "killed") and rank == 1:
    os.kill(os.getpid(), signal.SIGKILL)
if how == "set-up":
    note_end(2, "the folder is wrong")
    sys.exit(2)
if how == "incomplete":
    note_end(3 if rank == 0 else 0)
    subprocess.run(["kill", str(helper)])
    sys.exit(0)
if how != "well":
    time.sleep(600)
note_end(0)
"""


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """A module for the ranks to run; returns the plan for one way to behave."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "stub_rank.py").write_text(STUB)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'modules'}:{os.getcwd()}")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    (tmp_path / "told").mkdir()
    return lambda how, processes=2: LaunchPlan("stub_rank", (str(tmp_path / "told"), how), processes, on_cpu=True)


def told(tmp_path):
    return [json.loads(path.read_text()) for path in sorted((tmp_path / "told").glob("rank-*.json"))]


def alive(tmp_path):
    pids = [pid for one in told(tmp_path) for pid in (one["pid"], one["helper"]) if pid]
    return [pid for pid in pids if is_alive(pid)]


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_as_many_ranks_as_asked_for(stub, tmp_path):
    ending = launch(stub("well", 3))
    ranks = told(tmp_path)
    assert [one["WORLD_SIZE"] for one in ranks] == ["3"] * 3
    assert [one["RANK"] for one in ranks] == [one["LOCAL_RANK"] for one in ranks] == ["0", "1", "2"]
    assert {one["ACCELERATE_USE_CPU"] for one in ranks} == {"true"}
    assert {one["OMP_NUM_THREADS"] for one in ranks} == {str(max(1, len(os.sched_getaffinity(0)) // 3))}
    assert len({one["MASTER_PORT"] for one in ranks}) == 1
    assert {(end.code, end.spoke) for end in ending.ranks} == {(0, True)}


def test_what_a_user_sets_stays(stub, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    launch(stub("well"))
    assert {(one["WORLD_SIZE"], one["OMP_NUM_THREADS"]) for one in told(tmp_path)} == {("2", "7")}


@pytest.mark.parametrize("how", ["killed", "stubborn"])
def test_a_rank_is_killed(stub, tmp_path, how):
    """The issue's limit: all have ended within 10 s, also where the others do not heed SIGTERM."""
    ending = launch(stub(how))
    returned = time.time()
    assert {one["WORLD_SIZE"] for one in told(tmp_path)} == {"2"}
    assert alive(tmp_path) == []
    assert returned - os.stat(tmp_path / "told" / "rank-1.json").st_mtime < 10
    first, other = ending.ranks
    assert (first.rank, first.pid, first.code) == (1, told(tmp_path)[1]["pid"], -signal.SIGKILL)
    assert other.rank == 0
    assert ending.signal is None


def test_codes_and_messages_come_through(stub, tmp_path):
    ending = launch(stub("set-up"))
    assert len(told(tmp_path)) == 2
    assert ending.ranks[0][2:] == (2, True, "the folder is wrong")
    assert alive(tmp_path) == []


def test_an_incomplete_result_is_no_failure(stub):
    ending = launch(stub("incomplete"))
    assert {(end.rank, end.code) for end in ending.ranks} == {(0, 3), (1, 0)}


PARENT = """
import sys
from qsv_eval.launching.supervisor import LaunchPlan, launch
ending = launch(LaunchPlan("stub_rank", (sys.argv[1], sys.argv[2]), 2, True))
print(ending.signal, flush=True)
"""


@pytest.mark.parametrize(
    ("victim", "number", "printed"),
    [
        ("supervisor", signal.SIGINT, "2\n"),
        ("supervisor", signal.SIGTERM, "15\n"),
        ("supervisor", signal.SIGKILL, ""),
        ("launcher", signal.SIGKILL, "None\n"),
    ],
)
def test_no_process_is_left_whoever_gets_a_signal(stub, tmp_path, victim, number, printed):
    plan = stub("wait")
    command = [sys.executable, "-c", PARENT, *plan.words]
    # Not a pipe: the ranks' own children, which nobody ends once the supervisor is gone, would keep it open.
    with (tmp_path / "out").open("w") as out, subprocess.Popen(command, stdout=out) as process:
        while len(told(tmp_path)) < 2:
            time.sleep(0.05)
        [launcher] = psutil.Process(process.pid).children()
        (process if victim == "supervisor" else launcher).send_signal(number)
        process.wait(60)
    assert (tmp_path / "out").read_text() == printed
    ranks = [one["pid"] for one in told(tmp_path)]
    while number == signal.SIGKILL and victim == "supervisor" and set(ranks) & set(alive(tmp_path)):
        time.sleep(0.1)  # the system tells the launcher, and it the ranks
    assert not set(ranks) & set(alive(tmp_path))
    if printed:  # a supervisor that lives on ends the ranks' own children as well
        assert alive(tmp_path) == []
    for pid in alive(tmp_path):
        os.kill(pid, signal.SIGKILL)


def test_who_is_blamed():
    from qsv_eval.launching.supervisor import _blamed

    plan = LaunchPlan("m", (), 4, True)
    notes = {
        0: RankNote(0, 10, 1, "RuntimeError: connection closed", at=7.0),
        1: RankNote(1, 11),
        2: RankNote(2, 12),
        3: RankNote(3, 13, 1, "RuntimeError: connection closed", at=6.0),
    }
    ends = _blamed(plan, notes, {0: 1, 1: -15, 2: -9, 3: 1})
    assert [end.rank for end in ends] == [2, 3, 0, 1]
    assert isinstance(ends[0], RankExit)
    assert LaunchResult(ends, None, None).ranks[0].code == -9
