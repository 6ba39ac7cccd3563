"""Read videos ahead of whoever asks for them: in worker processes, in order, within a budget of bytes.

    with ReadAhead(jobs, settings, readers=4, budget_bytes=2 << 30) as ahead:
        for _ in jobs:
            with ahead.take() as reading:
                ...

A job is begun when its frames fit into the budget beside those that are read or wait to be taken (a job larger than the
whole budget when there is nothing else). A reader that gives no answer within the limit is ended, one that dies is
replaced; both cost their job, and the rest goes on.
"""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import NamedTuple

from qsv_eval.model_adapters.errors import MediaError, MediaFault
from qsv_eval.model_adapters.frames.reading import ReadJob, ReadResult, ReadSettings, read
from qsv_eval.model_adapters.frames.worker import receive_frames
from qsv_eval.model_adapters.stopwatch import stage

__all__ = ["PlannedRead", "ReadAhead", "default_readers"]

_WORKER = "qsv_eval.model_adapters.frames.worker"
_LONGEST_WAIT_S = 1e6  # the system counts milliseconds in an int


def default_readers() -> int:
    """Return how many readers suit this process: its part of the processors, at least 1 and at most 8.

    Readers yield to the answering thread (`os.nice`), so they take what it leaves; one fewer was measured to be slower.
    """
    processors = len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    return min(max(processors, 1), 8)


class PlannedRead(NamedTuple):
    """A job, and the bytes that its frames are expected to take."""

    job: ReadJob
    expected_bytes: int


class ReadAhead:
    """Gives the results of jobs in their order. With no readers, each is read when it is taken."""

    def __init__(
        self,
        planned: Sequence[PlannedRead],
        settings: ReadSettings,
        *,
        readers: int,
        budget_bytes: int,
        limit_s: float = 600.0,
    ) -> None:
        self._planned = list(planned)
        self._settings, self._budget, self._limit_s = settings, budget_bytes, limit_s
        self._state = threading.Condition()
        self._results: dict[int, ReadResult] = {}
        self._begun = self._taken = 0
        self._wanted = -1
        self._held_bytes = 0
        self._bug: BaseException | None = None
        self._closed = False
        self._readers = [_Reader(settings) for _ in range(min(readers, len(self._planned)))]
        self._threads = [threading.Thread(target=self._work, args=(reader,), daemon=True) for reader in self._readers]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "ReadAhead":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def take(self) -> Iterator[ReadResult]:
        """Wait for the next job's result; its bytes count against the budget until the block ends."""
        number = self._taken
        planned = self._planned[number]
        self._taken += 1
        with stage("wait"):
            result = self._wait_for(number) if self._threads else read(planned.job, self._settings)
        try:
            yield result
        finally:
            held = _bytes_of(result)
            del result
            with self._state:
                self._held_bytes -= held if self._threads else 0
                self._state.notify_all()

    def close(self) -> None:
        """End all readers, in the middle of what they do."""
        with self._state:
            self._closed = True
            self._state.notify_all()
        for reader in self._readers:
            reader.kill()
        for thread in self._threads:
            thread.join()
        for reader in self._readers:
            reader.let_go()
        self._results.clear()

    def _wait_for(self, number: int) -> ReadResult:
        with self._state:
            self._wanted = number  # it is begun whatever is held, or who holds one file and waits for the next waits on
            self._state.notify_all()
            self._state.wait_for(lambda: number in self._results or self._bug)
            if self._bug is not None:
                raise self._bug
            return self._results.pop(number)

    def _work(self, reader: "_Reader") -> None:
        while (number := self._begin()) is not None:
            planned = self._planned[number]
            try:
                result = reader.read(planned.job, self._limit_s)
            except BaseException as bug:  # noqa: BLE001 - raised again where the result is waited for
                with self._state:
                    self._bug = bug
                    self._state.notify_all()
                return
            with self._state:
                self._results[number] = result
                self._held_bytes += _bytes_of(result) - planned.expected_bytes
                self._state.notify_all()
            del result  # or this thread would hold the frames until it has read the next file's

    def _begin(self) -> int | None:
        """Wait until there is room for the next job; None when there is none left."""

        def may_begin() -> bool:
            if self._closed or self._begun == len(self._planned) or self._begun <= self._wanted:
                return True
            expected = self._planned[self._begun].expected_bytes
            return self._held_bytes == 0 or self._held_bytes + expected <= self._budget

        with self._state:
            self._state.wait_for(may_begin)
            if self._closed or self._begun == len(self._planned):
                return None
            number = self._begun
            self._begun += 1
            self._held_bytes += self._planned[number].expected_bytes
            return number


def _bytes_of(result: ReadResult) -> int:
    return 0 if result.footage is None else result.footage.frames.nbytes


class _Reader:
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
