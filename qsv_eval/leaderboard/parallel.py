"""Parallel map over the cores with results in the order of the jobs, and a pause of the garbage collector."""

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

__all__ = ["FEWEST", "ParallelMap", "gc_paused", "parallel_map"]


FEWEST: Final = 12
"""Jobs for which further processes pay: they take about a second and a half to start."""
_MOST: Final = 8
"""Processes: more would wait for the one that gathers what they found."""

Job = TypeVar("Job")
Result = TypeVar("Result")


class ParallelMap(Protocol):
    """Does a job after the other, like `map`, or several at once."""

    def __call__(self, function: Callable[[Job], Result], jobs: Iterable[Job], /) -> Iterator[Result]:
        """Yield the results in the order of the jobs."""
        ...


@contextmanager
def parallel_map(jobs: int, processes: int | None = None, preload: Sequence[str] = ()) -> Iterator[ParallelMap]:
    """Provide processes for about so many jobs; for a few jobs it is this process that does them.

    A script that calls this needs the `if __name__ == "__main__"` of all programs that start processes.

    Args:
        jobs: how many there will be.
        processes: as many as this process may use cores, if not given.
        preload: modules that the jobs need, imported once for all processes.
    """
    cores = len(os.sched_getaffinity(0)) if processes is None else processes
    if jobs < FEWEST or cores < 2:
        yield map
        return
    # A fork of this process would copy the locks of threads that are running, such as those of numpy. The server that
    # forks instead has no threads.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    with ProcessPoolExecutor(min(cores, jobs, _MOST), context) as pool:

        def spread(function: Callable[[Job], Result], jobs: Iterable[Job], /) -> Iterator[Result]:
            return _in_order(pool, function, jobs)

        try:
            yield spread
        except BrokenProcessPool as error:
            raise SetupError(
                f"a process was ended from outside ({error}); is there too little memory? Name fewer folders at once"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _in_order(pool: ProcessPoolExecutor, function: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
    # Only a few ahead, or the results of all jobs would be in memory at once.
    waiting: deque[Future[Result]] = deque()
    for job in jobs:
        waiting.append(pool.submit(function, job))
        if len(waiting) > 2 * _MOST:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def gc_paused() -> Iterator[None]:
    """Look for no garbage in cycles meanwhile: what is read has none, and looking takes a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
