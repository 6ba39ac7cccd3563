"""Worker process that reads videos, and the read job that runs there or in the parent."""

import os
import signal
import socket
import subprocess
import sys
from multiprocessing.connection import Connection

import numpy as np
import psutil
import pytest

from qsv_eval.model_adapters.errors import MediaError, MediaFault
from qsv_eval.model_adapters.frames import ClipRequest, FrameRule, FrameSelection, read_frames
from qsv_eval.model_adapters.frames import read_job as read_job_module
from qsv_eval.model_adapters.frames.read_job import ReadJob, ReadSettings, run_read_job
from qsv_eval.model_adapters.frames.subprocess_worker import receive_frames

SIZE = (96, 160)
REQUESTS = (ClipRequest(FrameRule()), ClipRequest(FrameRule(fps=2), 1.0, 3.0), ClipRequest(FrameRule(), 90.0))
SETTINGS = ReadSettings(SIZE)
SLOW = """
import time
from qsv_eval.model_adapters.frames import subprocess_worker as worker
def read(*_):
    print("reading", flush=True)
    time.sleep(1000)
worker.run_read_job = read
worker.main()
"""


class Worker:
    """A worker process, talked to as the engine does."""

    def __init__(self, settings, command):
        self.channel, worker_end = socket.socketpair()
        with worker_end:
            self.process = subprocess.Popen(
                [sys.executable, *command, str(worker_end.fileno())],
                pass_fds=[worker_end.fileno()],
                stdout=subprocess.PIPE,
            )
        self.jobs = Connection(os.dup(self.channel.fileno()))
        self.jobs.send(settings)

    def read(self, *job):
        self.jobs.send(ReadJob(*job))
        result, shared = self.jobs.recv()
        if shared is None:
            return result
        shape, frames = shared
        whole = receive_frames(self.channel, shape)
        return result._replace(footage=result.footage._replace(frames=whole[:frames]))

    def hang_up(self):
        self.jobs.close()
        self.channel.close()

    def close(self):
        self.hang_up()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def start():
    """Return the function that starts a worker, with other code if need be."""
    workers = []

    def begin(settings=SETTINGS, command=("-m", "qsv_eval.model_adapters.frames.subprocess_worker")):
        workers.append(Worker(settings, command))
        return workers[-1]

    yield begin
    for worker in workers:
        worker.close()


def assert_same(result, expected):
    assert result.error is None
    assert np.array_equal(result.footage.frames, expected.frames)
    assert (result.footage.frames.dtype, result.footage.frames.shape) == (np.uint8, expected.frames.shape)
    rest = ("timestamps_s", "fps", "packet_errors")
    assert [getattr(result.footage, name) for name in rest] == [getattr(expected, name) for name in rest]
    assert [view for view in result.footage.views if isinstance(view, FrameSelection)] == expected.views[:2]


def test_frames_are_those_that_are_read_here(start, plain_video):
    worker = start()
    expected = read_frames(plain_video, REQUESTS, SIZE)
    for _ in range(3):
        assert_same(worker.read(str(plain_video), REQUESTS), expected)
    assert_same(run_read_job(ReadJob(str(plain_video), REQUESTS), SETTINGS), expected)


def test_the_size_and_resize_of_the_settings_count(start, plain_video):
    settings = ReadSettings((64, 48), "fast")
    assert_same(start(settings).read(str(plain_video), REQUESTS), read_frames(plain_video, REQUESTS, (64, 48), "fast"))


def test_frames_of_a_cut_file_are_only_those_that_are_there(start, make_video, tmp_path):
    whole = make_video("to_cut.mp4", options={"g": "40"}, container_options={"movflags": "faststart"})
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    requests = (ClipRequest(FrameRule(fps=10)),)
    expected = read_frames(path, requests, SIZE)
    assert expected.views[0].shortfall > 0
    result = start().read(str(path), requests)
    assert np.array_equal(result.footage.frames, expected.frames)
    assert len(result.footage.frames) == len(result.footage.timestamps_s)


def test_frames_stay_when_the_worker_is_gone(start, plain_video):
    worker = start()
    result = worker.read(str(plain_video), REQUESTS)
    worker.close()
    assert_same(result, read_frames(plain_video, REQUESTS, SIZE))
    result.footage.frames[0] = 0  # it is this process's own


def test_errors_cross_the_border(start, tmp_path, plain_video):
    worker = start()
    (tmp_path / "page.mp4").write_text("<html>404 Not Found</html>" * 99)
    for name, fault in [("gone.mp4", MediaFault.MISSING), ("page.mp4", MediaFault.UNDECODABLE)]:
        path = str(tmp_path / name)
        result = worker.read(path, REQUESTS)
        assert result.footage is None
        assert isinstance(result.error, MediaError)
        assert (result.error.path, result.error.fault) == (path, fault)
        assert str(result.error) == str(run_read_job(ReadJob(path, REQUESTS), SETTINGS).error)
    assert worker.read(str(plain_video), REQUESTS).footage.views[2].fault is MediaFault.OUT_OF_RANGE


def test_what_nobody_expected_is_an_error_that_can_be_sent(start, plain_video):
    odd = ReadSettings(SIZE, "best")
    result = start(odd).read(str(plain_video), REQUESTS)
    assert type(result.error) is RuntimeError
    assert str(result.error) == str(run_read_job(ReadJob(str(plain_video), REQUESTS), odd).error)


def test_an_error_keeps_no_frames(plain_video, monkeypatch):
    def fail(*_):
        raise MediaError(plain_video, MediaFault.UNDECODABLE)

    monkeypatch.setattr(read_job_module, "read_frames", fail)
    error = run_read_job(ReadJob(str(plain_video), REQUESTS), SETTINGS).error
    assert error.fault is MediaFault.UNDECODABLE
    assert error.__traceback__ is None


def test_the_frame_store_serves_the_second_reading(start, plain_video, tmp_path):
    worker = start(ReadSettings(SIZE, store=tmp_path / "store", store_bytes=1 << 30))
    first, second = (worker.read(str(plain_video), REQUESTS) for _ in range(2))
    assert (first.from_store, second.from_store) == (False, True)
    for result in (first, second):
        assert_same(result, read_frames(plain_video, REQUESTS, SIZE))


def test_no_descriptor_stays_with_either_side(start, plain_video):
    worker = start()

    def open_files():
        worker.read("gone.mp4", REQUESTS)  # by now it has let go of what was before
        return psutil.Process().num_fds(), psutil.Process(worker.process.pid).num_fds()

    worker.read(str(plain_video), REQUESTS)
    before = open_files()
    for _ in range(10):
        worker.read(str(plain_video), REQUESTS)
    assert open_files() == before


def test_room_that_is_asked_for_twice_is_one_room():
    from qsv_eval.model_adapters.frames.subprocess_worker import _SharedFrames

    shared, before = _SharedFrames(), psutil.Process().num_fds()
    shared.allocate((2, 4, 4, 3))
    shared.allocate((3, 4, 4, 3))[:] = 7
    assert os.pread(shared.fd, 1000, 0) == b"\7" * 3 * 4 * 4 * 3
    shared.close()
    assert psutil.Process().num_fds() == before


def test_a_worker_that_died_before_its_frames():
    ours, worker_end = socket.socketpair()
    worker_end.close()
    with ours, pytest.raises(EOFError):
        receive_frames(ours, (1, 2, 2, 3))


def test_it_ends_when_nobody_is_there_any_more(start, plain_video):
    worker = start()
    worker.read(str(plain_video), REQUESTS)
    worker.hang_up()
    assert worker.process.wait(30) == 0


def test_it_ends_in_the_middle_of_a_file(start, plain_video):
    worker = start(command=("-c", SLOW))
    worker.jobs.send(ReadJob(str(plain_video), REQUESTS))
    assert worker.process.stdout.readline() == b"reading\n"
    worker.hang_up()
    assert worker.process.wait(30) == 0


def test_ctrl_c_is_not_for_it(start, plain_video):
    worker = start()
    worker.read(str(plain_video), REQUESTS)  # so it has begun
    worker.process.send_signal(signal.SIGINT)
    assert worker.read(str(plain_video), REQUESTS).error is None


def test_it_loads_nothing_heavy():
    code = "import sys, qsv_eval.model_adapters.frames.subprocess_worker as _; print(*sys.modules)"
    loaded = {name.split(".")[0] for name in subprocess.check_output([sys.executable, "-c", code], text=True).split()}
    assert not loaded & {"torch", "transformers", "accelerate", "lmms_eval", "pandas", "pydantic"}
    assert {"av", "numpy"} <= loaded
