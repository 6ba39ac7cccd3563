"""Read videos in a process of their own, which may hang or crash: that costs the video, not whoever asked for it."""

import os
import socket
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection

from qsv_eval.model_adapters.errors import MediaError, MediaFault
from qsv_eval.model_adapters.frames.read_job import ReadJob, ReadResult, ReadSettings
from qsv_eval.model_adapters.frames.subprocess_worker import receive_frames

__all__ = ["SubprocessReader"]

_WORKER = "qsv_eval.model_adapters.frames.subprocess_worker"
_LONGEST_WAIT_S = 1e6  # the system counts milliseconds in an int


class SubprocessReader:
    """One worker process, started when it is first needed and again when it was lost."""

    def __init__(self, settings: ReadSettings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._jobs: Connection | None = None
        self._lock = threading.Lock()
        self._killed = False

    def read(self, job: ReadJob, limit_s: float) -> ReadResult:
        """Let the process read; what becomes of it is part of the result. A reader that dies gets a second try."""
        started = time.perf_counter()
        fault = MediaError(job.path, MediaFault.DIED, "the run was ended")
        for attempt in (1, 2):
            if self._killed:
                break
            try:
                return self._ask(job, limit_s)
            except TimeoutError:
                self.let_go()
                fault = MediaError(job.path, MediaFault.HUNG, f"no frames within {limit_s:g} s")
                break
            except (EOFError, OSError):
                fault = MediaError(job.path, MediaFault.DIED, f"exit status {self.let_go()}, attempt {attempt}")
        return ReadResult(None, fault, time.perf_counter() - started)

    def kill(self) -> None:
        """End the process for good, whatever it does."""
        with self._lock:
            self._killed = True
            if self._process is not None:
                self._process.kill()

    def _ask(self, job: ReadJob, limit_s: float) -> ReadResult:
        jobs, channel = self._start()
        jobs.send(job)
        if not jobs.poll(min(limit_s, _LONGEST_WAIT_S)):
            raise TimeoutError
        result, room = jobs.recv()
        if room is None:
            return result
        shape, frames = room
        whole = receive_frames(channel, shape)
        return result._replace(footage=result.footage._replace(frames=whole[:frames]))

    def _start(self) -> tuple[Connection, socket.socket]:
        with self._lock:
            if self._killed:
                raise EOFError
            if self._process is None:
                self._channel, theirs = socket.socketpair()
                with theirs:
                    # -P: the folder that this was started in may hold a queue.py or numpy.py.
                    command = [sys.executable, "-P", "-m", _WORKER, str(theirs.fileno())]
                    paths = os.pathsep.join(str(path) or os.getcwd() for path in sys.path)
                    self._process = subprocess.Popen(  # noqa: S603 - our own module
                        command,
                        pass_fds=(theirs.fileno(),),
                        stdin=subprocess.DEVNULL,
                        env=os.environ | {"PYTHONPATH": paths},
                    )
                self._jobs = Connection(os.dup(self._channel.fileno()))
                self._jobs.send(self._settings)
            assert self._jobs is not None, "it is made with the process"
            assert self._channel is not None, "it is made with the process"
            return self._jobs, self._channel

    def let_go(self) -> int | None:
        """End the process, so that the next job gets a new one; return its exit status."""
        with self._lock:
            process, ends = self._process, (self._jobs, self._channel)
            self._process = self._channel = self._jobs = None
        for end in ends:
            if end is not None:
                end.close()
        if process is None:
            return None
        try:
            return process.wait(1.0)  # one that died by itself tells why
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
