"""Reading of videos in a subprocess, so that a decoder that hangs or crashes costs one video and not the run."""

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
_LONGEST_WAIT_S = 1e6  # the system call takes milliseconds as an int


class SubprocessReader:
    """One worker process, started on first use and again after it died or was stopped."""

    def __init__(self, settings: ReadSettings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._jobs: Connection | None = None
        self._lock = threading.Lock()
        self._killed = False

    def read(self, job: ReadJob, limit_s: float) -> ReadResult:
        """Read in the worker; a failure is part of the result. If the worker dies, a new one tries once more."""
        started = time.perf_counter()
        fault = MediaError(job.path, MediaFault.DIED, "the reader was stopped")
        for attempt in (1, 2):
            if self._killed:
                break
            try:
                return self._read_once(job, limit_s)
            except TimeoutError:
                self.stop()
                fault = MediaError(job.path, MediaFault.HUNG, f"no frames within {limit_s:g} s")
                break
            except (EOFError, OSError):
                fault = MediaError(job.path, MediaFault.DIED, f"exit status {self.stop()}, attempt {attempt}")
        return ReadResult(None, fault, time.perf_counter() - started)

    def kill(self) -> None:
        """Kill the worker; later reads fail."""
        with self._lock:
            self._killed = True
            if self._process is not None:
                self._process.kill()

    def _read_once(self, job: ReadJob, limit_s: float) -> ReadResult:
        jobs, channel = self._start()
        jobs.send(job)
        if not jobs.poll(min(limit_s, _LONGEST_WAIT_S)):
            raise TimeoutError
        result, layout = jobs.recv()
        if layout is None:
            return result
        shape, frame_count = layout
        frames = receive_frames(channel, shape)[:frame_count]
        return result._replace(footage=result.footage._replace(frames=frames))

    def _start(self) -> tuple[Connection, socket.socket]:
        with self._lock:
            if self._killed:
                raise EOFError
            if self._process is None:
                self._channel, worker_end = socket.socketpair()
                with worker_end:
                    # -P: the current folder may hold a queue.py or numpy.py, which would be imported instead.
                    command = [sys.executable, "-P", "-m", _WORKER, str(worker_end.fileno())]
                    paths = os.pathsep.join(str(path) or os.getcwd() for path in sys.path)
                    self._process = subprocess.Popen(  # noqa: S603 - our own module
                        command,
                        pass_fds=(worker_end.fileno(),),
                        stdin=subprocess.DEVNULL,
                        env=os.environ | {"PYTHONPATH": paths},
                    )
                self._jobs = Connection(os.dup(self._channel.fileno()))
                self._jobs.send(self._settings)
            assert self._jobs is not None, "made with the process"
            assert self._channel is not None, "made with the process"
            return self._jobs, self._channel

    def stop(self) -> int | None:
        """Stop the worker and return its exit status; the next read starts a new one."""
        with self._lock:
            process, ends = self._process, (self._jobs, self._channel)
            self._process = self._channel = self._jobs = None
        for end in ends:
            if end is not None:
                end.close()
        if process is None:
            return None
        try:
            return process.wait(1.0)  # a worker that died by itself has a status of its own
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
