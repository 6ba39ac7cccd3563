"""Read videos ahead of the answering thread: in subprocesses, in order, within a limit of bytes.

    with ReadAhead(jobs, settings, readers=4, budget_bytes=2 << 30) as readahead:
        for _ in jobs:
            with readahead.take() as result:
                ...

A job starts when its frames fit into the budget beside those that are read or wait to be taken (a job larger than the
whole budget, when there are no others). A reader that exceeds the time limit is killed, a reader that dies is replaced;
both cost their job only.
"""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from qsv_eval.model_adapters.frames.read_job import ReadJob, ReadResult, ReadSettings, run_read_job
from qsv_eval.model_adapters.frames.subprocess_reader import SubprocessReader
from qsv_eval.model_adapters.stage_timer import stage

__all__ = ["PlannedRead", "ReadAhead", "default_readers"]


def default_readers() -> int:
    """Return the default number of readers: this process's part of the processors, at least 1 and at most 8.

    Readers have a lower priority than the answering thread (`os.nice`). One reader fewer was measured to be slower.
    """
    processors = len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    return min(max(processors, 1), 8)


class PlannedRead(NamedTuple):
    """A read job and the estimated bytes of its frames."""

    job: ReadJob
    expected_bytes: int


class ReadAhead:
    """Results of read jobs in the order of the jobs. With 0 readers, each job runs when it is taken."""

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
        self._next_start = self._next_take = 0
        self._awaited = -1
        self._held_bytes = 0
        self._bug: BaseException | None = None
        self._closed = False
        self._readers = [SubprocessReader(settings) for _ in range(min(readers, len(self._planned)))]
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
        index = self._next_take
        job = self._planned[index].job
        self._next_take += 1
        with stage("wait"):
            result = self._wait_for(index) if self._threads else run_read_job(job, self._settings)
        try:
            yield result
        finally:
            held = _frame_bytes(result)
            del result
            with self._state:
                self._held_bytes -= held if self._threads else 0
                self._state.notify_all()

    def close(self) -> None:
        """Kill all readers, also in the middle of a job."""
        with self._state:
            self._closed = True
            self._state.notify_all()
        for reader in self._readers:
            reader.kill()
        for thread in self._threads:
            thread.join()
        for reader in self._readers:
            reader.stop()
        self._results.clear()

    def _wait_for(self, index: int) -> ReadResult:
        with self._state:
            # An awaited job starts whatever the budget, or a caller that holds one file and takes the next would hang.
            self._awaited = index
            self._state.notify_all()
            self._state.wait_for(lambda: index in self._results or self._bug)
            if self._bug is not None:
                raise self._bug
            return self._results.pop(index)

    def _work(self, reader: SubprocessReader) -> None:
        while (index := self._start_next()) is not None:
            planned = self._planned[index]
            try:
                result = reader.read(planned.job, self._limit_s)
            except BaseException as bug:  # noqa: BLE001 - raised again in the thread that waits for the result
                with self._state:
                    self._bug = bug
                    self._state.notify_all()
                return
            with self._state:
                self._results[index] = result
                self._held_bytes += _frame_bytes(result) - planned.expected_bytes
                self._state.notify_all()
            del result  # or this thread would hold the frames until the next file is read

    def _start_next(self) -> int | None:
        """Wait until the budget has room for the next job and return its index; None if no job is left."""

        def may_start() -> bool:
            if self._closed or self._next_start == len(self._planned) or self._next_start <= self._awaited:
                return True
            expected = self._planned[self._next_start].expected_bytes
            return self._held_bytes == 0 or self._held_bytes + expected <= self._budget

        with self._state:
            self._state.wait_for(may_start)
            if self._closed or self._next_start == len(self._planned):
                return None
            index = self._next_start
            self._next_start += 1
            self._held_bytes += self._planned[index].expected_bytes
            return index


def _frame_bytes(result: ReadResult) -> int:
    return 0 if result.footage is None else result.footage.frames.nbytes
