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
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from qsv_eval.model_adapters.frames.read_job import ReadJob, ReadResult, ReadSettings, run_read_job
from qsv_eval.model_adapters.frames.subprocess_reader import SubprocessReader
from qsv_eval.model_adapters.stage_timer import stage

__all__ = ["PlannedRead", "ReadAhead", "default_readers"]


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
        number = self._taken
        planned = self._planned[number]
        self._taken += 1
        with stage("wait"):
            result = self._wait_for(number) if self._threads else run_read_job(planned.job, self._settings)
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
            reader.stop()
        self._results.clear()

    def _wait_for(self, number: int) -> ReadResult:
        with self._state:
            self._wanted = number  # it is begun whatever is held, or who holds one file and waits for the next waits on
            self._state.notify_all()
            self._state.wait_for(lambda: number in self._results or self._bug)
            if self._bug is not None:
                raise self._bug
            return self._results.pop(number)

    def _work(self, reader: SubprocessReader) -> None:
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
