"""Reading ahead with real worker processes: in order, within the limit of bytes, and without hanging."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest

from qsv_eval.model_adapters.engine.readahead import PlannedRead, ReadAhead
from qsv_eval.model_adapters.errors import MediaError, MediaFault
from qsv_eval.model_adapters.frames import ClipRequest, FrameRule, subprocess_reader
from qsv_eval.model_adapters.frames.read_job import ReadJob, ReadSettings, run_read_job
from qsv_eval.model_adapters.stage_timer import StageTimer

SETTINGS = ReadSettings((32, 48))
FRAMES = 4
VIDEO_BYTES = FRAMES * 32 * 48 * 3
REQUESTS = (ClipRequest(FrameRule(max_frames=FRAMES)),)
PLENTY = 1 << 30
PATIENCE_S = 60.0
"""Time after which a test fails because something hangs."""

# A real worker, except for files with certain names. It writes its jobs to `pids` in the folder of the file.
WORKER = """
import os, signal, time
from pathlib import Path
from qsv_eval.model_adapters.frames import subprocess_worker as worker

real = worker.run_read_job

def read(job, *rest):
    path = Path(job.path)
    with open(path.parent / "pids", "a") as pids:
        pids.write(f"{os.getpid()} {path.name}\\n")
    if path.name.startswith("hang"):
        os.kill(os.getpid(), signal.SIGSTOP)
    dies = path.name.startswith("die_once") and not path.with_suffix(".died").exists()
    if dies or path.name.startswith("die_always"):
        path.with_suffix(".died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if path.name.startswith("slow"):
        time.sleep(0.3)
    return real(job, *rest)

worker.run_read_job = read
worker.main()
"""


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Use a worker that hangs, dies or waits for files of certain names, and writes down its jobs."""
    (tmp_path / "watched_worker.py").write_text(WORKER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(subprocess_reader, "_WORKER", "watched_worker")


@pytest.fixture
def link(clips, tmp_path):
    """Make a link to a video under another name."""

    def make(name):
        path = tmp_path / name
        if not path.exists():
            path.symlink_to(clips[0])
        return str(path)

    return make


@pytest.fixture(autouse=True)
def nothing_is_left():
    """Whatever happens, no process and no thread stays."""
    threads = set(threading.enumerate())
    yield
    assert psutil.Process().children(recursive=True) == []
    assert set(threading.enumerate()) <= threads


def planned(paths, expected_bytes=VIDEO_BYTES, requests=REQUESTS):
    return [PlannedRead(ReadJob(str(path), requests), expected_bytes) for path in paths]


def ahead_of(paths, readers=2, budget_bytes=PLENTY, settings=SETTINGS, **options):
    return ReadAhead(planned(paths), settings, readers=readers, budget_bytes=budget_bytes, **options)


def take_all(ahead, count):
    results = []
    for _ in range(count):
        with ahead.take() as result:
            results.append(result)
    return results


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def begun_jobs(tmp_path):
    """Return (process, file name) of every job that was begun."""
    file = tmp_path / "pids"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(int(line.split()[0]), line.split()[1]) for line in lines]


@pytest.mark.parametrize("readers", [0, 1, 2, 3])
def test_results_come_in_the_order_of_the_jobs_with_the_same_bytes(clips, readers, link):
    paths = [*map(str, clips), link("a.mp4"), str(clips[1])]
    with ahead_of(paths, readers) as ahead:
        results = take_all(ahead, len(paths))
    for path, result in zip(paths, results, strict=True):
        expected = run_read_job(ReadJob(path, REQUESTS), SETTINGS).footage
        assert np.array_equal(result.footage.frames, expected.frames)
        assert result.footage[1:] == expected[1:]


@pytest.mark.usefixtures("watched")
def test_a_slow_first_job_does_not_lose_its_place(link):
    paths = [link("slow.mp4"), link("a.mp4"), link("b.mp4")]
    requests = [(ClipRequest(FrameRule(max_frames=count)),) for count in (1, 2, 3)]
    jobs = [PlannedRead(ReadJob(*job), 0) for job in zip(paths, requests, strict=True)]
    with ReadAhead(jobs, SETTINGS, readers=3, budget_bytes=PLENTY) as ahead:
        assert [len(result.footage.frames) for result in take_all(ahead, 3)] == [1, 2, 3]


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize("fit", [1, 2, 3])
def test_no_more_is_begun_than_fits(link, tmp_path, fit):
    paths = [link(f"{i}.mp4") for i in range(8)]
    with ahead_of(paths, readers=4, budget_bytes=int((fit + 0.5) * VIDEO_BYTES)) as ahead:
        for i in range(8):
            with ahead.take():
                wait_until(lambda i=i: len(begun_jobs(tmp_path)) >= min(i + fit, 8))
                time.sleep(0.1)  # anything too much would begin now
                assert len(begun_jobs(tmp_path)) == min(i + fit, 8)  # the one in hand counts


@pytest.mark.usefixtures("watched")
def test_bytes_that_were_not_expected_count_once_they_are_there(link, tmp_path):
    paths = [link(f"{i}.mp4") for i in range(3)]
    jobs = planned(paths, expected_bytes=1)
    with ReadAhead(jobs, SETTINGS, readers=1, budget_bytes=VIDEO_BYTES) as ahead:
        with ahead.take():
            time.sleep(0.3)
            assert len(begun_jobs(tmp_path)) == 1
        wait_until(lambda: len(begun_jobs(tmp_path)) >= 2)


@pytest.mark.parametrize("readers", [1, 3])
def test_a_job_larger_than_the_budget_goes_through(clips, readers):
    with ahead_of([*clips, *clips], readers, budget_bytes=1) as ahead:
        assert all(result.footage for result in take_all(ahead, 6))


@pytest.mark.parametrize("readers", [0, 1, 2])
def test_a_second_file_is_read_though_the_first_is_held(clips, readers):
    with ahead_of(clips[:3], readers, budget_bytes=VIDEO_BYTES) as ahead:
        with ahead.take() as first, ahead.take() as second:
            assert first.footage.frames.shape == second.footage.frames.shape
        with ahead.take() as third:
            assert third.error is None


@pytest.mark.parametrize("readers", [0, 2])
def test_a_file_that_cannot_be_read_costs_only_itself(clips, tmp_path, readers):
    (tmp_path / "page.mp4").write_text("<html>404 Not Found</html>" * 99)
    paths = [tmp_path / "gone.mp4", clips[0], tmp_path / "page.mp4", clips[1]]
    with ahead_of(paths, readers, budget_bytes=VIDEO_BYTES) as ahead:
        gone, first, page, second = take_all(ahead, 4)
    assert (gone.error.fault, page.error.fault) == (MediaFault.MISSING, MediaFault.UNDECODABLE)
    assert gone.error.path == str(paths[0])
    assert first.error is second.error is None


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize("readers", [1, 2])
def test_a_reader_that_hangs_is_ended_and_the_rest_goes_on(link, readers):
    paths = [link("a.mp4"), link("hang.mp4"), link("b.mp4"), link("c.mp4")]
    with ahead_of(paths, readers, limit_s=5.0) as ahead:
        first, hung, *rest = take_all(ahead, 4)
    assert isinstance(hung.error, MediaError)
    assert hung.error.fault is MediaFault.HUNG
    assert "no frames within 5 s" in str(hung.error)
    assert [result.error for result in (first, *rest)] == [None] * 3


@pytest.mark.usefixtures("watched")
def test_a_reader_that_dies_once_is_replaced_and_the_job_tried_again(link, tmp_path):
    paths = [link("a.mp4"), link("die_once.mp4"), link("b.mp4")]
    with ahead_of(paths, readers=1) as ahead:
        assert [result.error for result in take_all(ahead, 3)] == [None] * 3
    names = [name for _, name in begun_jobs(tmp_path)]
    assert names == ["a.mp4", "die_once.mp4", "die_once.mp4", "b.mp4"]
    assert len({process for process, _ in begun_jobs(tmp_path)}) == 2


@pytest.mark.usefixtures("watched")
def test_a_file_that_kills_every_reader_costs_only_itself(link, tmp_path):
    with ahead_of([link("die_always.mp4"), link("b.mp4")], readers=1) as ahead:
        dead, after = take_all(ahead, 2)
    assert dead.error.fault is MediaFault.DIED
    assert f"exit status {-signal.SIGKILL}, attempt 2" in str(dead.error)
    assert after.error is None
    assert [name for _, name in begun_jobs(tmp_path)] == ["die_always.mp4"] * 2 + ["b.mp4"]


@pytest.mark.usefixtures("watched")
def test_a_reader_that_is_killed_from_outside_is_replaced(link, tmp_path):
    with ahead_of([link("hang.mp4"), link("a.mp4")], readers=1, limit_s=5.0) as ahead:
        wait_until(lambda: len(begun_jobs(tmp_path)) == 1)
        os.kill(begun_jobs(tmp_path)[0][0], signal.SIGKILL)  # in the middle of a job
        hung, after = take_all(ahead, 2)
    assert hung.error.fault is MediaFault.HUNG  # in the second attempt
    assert after.error is None
    assert len(begun_jobs(tmp_path)) == 3


def test_a_reader_that_died_while_it_was_idle_costs_nothing(clips):
    with ahead_of(clips[:2], readers=1, budget_bytes=VIDEO_BYTES) as ahead:
        with ahead.take():
            [reader] = psutil.Process().children()
            reader.kill()
            reader.wait()
        assert take_all(ahead, 1)[0].error is None


@pytest.mark.usefixtures("watched")
def test_close_ends_readers_in_the_middle_of_a_file(link, tmp_path):
    ahead = ahead_of([link("hang_a.mp4"), link("hang_b.mp4"), link("c.mp4")], readers=2, limit_s=1000.0)
    wait_until(lambda: len(begun_jobs(tmp_path)) == 2)
    ahead.close()
    assert psutil.Process().children() == []  # and `nothing_is_left` looks at the threads
    assert len(begun_jobs(tmp_path)) == 2
    ahead.close()


def test_close_before_anything_was_taken(clips):
    for _ in range(5):
        ahead_of([*clips, *clips], readers=3).close()


def test_the_end_of_the_block_closes_also_after_an_error(clips):
    ahead = ahead_of([*clips, *clips], readers=2, budget_bytes=VIDEO_BYTES)
    with pytest.raises(ZeroDivisionError), ahead, ahead.take():
        _ = 1 / 0


@pytest.mark.parametrize("readers", [0, 1, 4])
def test_no_jobs(readers):
    with ahead_of([], readers):
        assert psutil.Process().children() == []


@pytest.mark.parametrize("readers", [0, 1])
def test_taking_more_than_was_planned_is_an_error_and_no_hang(clips, readers):
    with ahead_of(clips[:1], readers) as ahead:
        take_all(ahead, 1)
        with pytest.raises(IndexError), ahead.take():
            pass


def test_a_bug_in_a_reading_thread_reaches_whoever_waits(clips, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(subprocess_reader, "receive_frames", fail)
    with ahead_of(clips, readers=2) as ahead, pytest.raises(ZeroDivisionError), ahead.take():
        pass


@pytest.mark.parametrize("limit_s", [1e9, float("inf")])
def test_no_limit_at_all(clips, limit_s):
    with ahead_of(clips[:1], readers=1, limit_s=limit_s) as ahead:
        assert take_all(ahead, 1)[0].error is None


def test_no_descriptors_and_no_frames_stay(clips):
    def open_files():
        return len(os.listdir("/proc/self/fd"))

    before = open_files()
    with ahead_of([clips[0]] * 50, readers=2, budget_bytes=3 * VIDEO_BYTES) as ahead:
        most = 0
        for _ in range(50):
            with ahead.take() as result:
                assert result.error is None
                most = max(most, open_files())
            del result
    assert open_files() == before
    assert most - before < 20  # two readers, three videos


def test_modules_in_the_folder_that_it_is_started_in_are_not_taken_for_the_library_s(clips, tmp_path, monkeypatch):
    (tmp_path / "queue.py").write_text("raise SystemExit('this is a spreadsheet of mine')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    with ahead_of(clips[:1], readers=1) as ahead:
        assert take_all(ahead, 1)[0].error is None


def test_waiting_is_counted_as_waiting(clips):
    for readers in (0, 1):
        watch = StageTimer()
        with watch.running(), ahead_of(clips[:1], readers) as ahead, ahead.take():
            pass
        assert watch.seconds["wait"] > 0


PARENT = """
import sys
from qsv_eval.model_adapters.engine.readahead import PlannedRead, ReadAhead
from qsv_eval.model_adapters.frames import ClipRequest, FrameRule, subprocess_reader
from qsv_eval.model_adapters.frames.read_job import ReadJob, ReadSettings
sys.path.insert(0, sys.argv[1])
subprocess_reader._WORKER = "watched_worker"
job = ReadJob(sys.argv[2], (ClipRequest(FrameRule()),))
with ReadAhead([PlannedRead(job, 1)], ReadSettings((32, 48)), readers=1, budget_bytes=1) as ahead:
    with ahead.take():
        pass
"""


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT])
def test_readers_end_with_their_process(link, tmp_path, monkeypatch, signal_number):
    monkeypatch.setitem(os.environ, "PYTHONPATH", "")
    (tmp_path / "watched_worker.py").write_text(
        WORKER.replace("os.kill(os.getpid(), signal.SIGSTOP)", "time.sleep(999)")
    )
    command = [sys.executable, "-c", PARENT, str(tmp_path), link("hang.mp4")]
    parent = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_until(lambda: begun_jobs(tmp_path))
    [(reader, _)] = begun_jobs(tmp_path)
    parent.send_signal(signal_number)
    parent.wait(PATIENCE_S)
    wait_until(lambda: not psutil.pid_exists(reader) or psutil.Process(reader).status() == psutil.STATUS_ZOMBIE)
