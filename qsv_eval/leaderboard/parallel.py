"""Parallel map over processes. Results come in the order of the jobs, so the output is the same on any machine."""

import gc
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Final, Protocol, TypeVar

from qsv_eval.model_adapters.errors import SetupError

__all__ = ["MIN_JOBS", "ParallelMap", "gc_paused", "parallel_map"]

MIN_JOBS: Final = 12
"""Number of jobs from which further processes save time: they take about 1.5 seconds to start."""
_MAX_PROCESSES: Final = 8
"""Limit of processes; more would wait for this process to collect their results."""

Job = TypeVar("Job")
Result = TypeVar("Result")


class ParallelMap(Protocol):
    """A function like `map`, over one or several processes."""

    def __call__(self, function: Callable[[Job], Result], jobs: Iterable[Job], /) -> Iterator[Result]:
        """Yield the results in the order of the jobs."""
        ...


@contextmanager
def parallel_map(jobs: int, processes: int | None = None, preload: Sequence[str] = ()) -> Iterator[ParallelMap]:
    """Provide a map over several processes, or over this process alone if there are few jobs.

    A calling script needs `if __name__ == "__main__"`, as for all uses of `multiprocessing`.

    Args:
        jobs: approximate number of jobs.
        processes: number of processes; the number of cores available to this process if not given.
        preload: modules that the jobs need, imported once for all processes.
    """
    cores = len(os.sched_getaffinity(0)) if processes is None else processes
    if jobs < MIN_JOBS or cores < 2:
        yield map
        return
    # A fork of this process would copy locks held by its threads, such as those of numpy; the fork server has none.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    with ProcessPoolExecutor(min(cores, jobs, _MAX_PROCESSES), context) as pool:

        def mapped(function: Callable[[Job], Result], jobs: Iterable[Job], /) -> Iterator[Result]:
            return _in_order(pool, function, jobs)

        try:
            yield mapped
        except BrokenProcessPool as error:
            raise SetupError(
                f"a process was killed ({error}), perhaps because memory ran out: name fewer folders at once"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _in_order(pool: ProcessPoolExecutor, function: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
    # Only a few jobs are submitted ahead, so that not all results are in memory at once.
    waiting: deque[Future[Result]] = deque()
    for job in jobs:
        waiting.append(pool.submit(function, job))
        if len(waiting) > 2 * _MAX_PROCESSES:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def gc_paused() -> Iterator[None]:
    """Pause cyclic garbage collection while reading data without cycles, which saves a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
