"""Where a thread's time goes: seconds by stage, each second counted once.

    watch = StageTimer()
    with watch.running():
        with stage("vit"):
            ...

Code that is timed only says `stage(name)`; where no stopwatch runs that does nothing. An inner stage stops the outer
one, so the stages always sum up to the time that the stopwatch ran.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["STAGES", "StageTimer", "next_stage", "stage"]

STAGES = ("wait", "vit", "cubing", "prefill", "generation", "other")
"""Waiting for frames, vision tower, the rest of perception, reading the prompt, replying, and all between."""

_active: ContextVar["StageTimer | None"] = ContextVar("stopwatch", default=None)


class StageTimer:
    """Counts seconds by stage. What belongs to no stage is "other"."""

    def __init__(self, synchronise: Callable[[], object] | None = None) -> None:
        """Make a stopwatch; `synchronise` waits for an accelerator whose work goes on while Python runs ahead."""
        self.seconds: dict[str, float] = defaultdict(float)
        self._synchronise = synchronise
        self._stack: list[str] = []
        self._since = 0.0
        self._lapped: dict[str, float] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count until the block ends."""
        token = _active.set(self)
        self._stack, self._since = ["other"], time.perf_counter()
        try:
            yield
        finally:
            self._book()
            self._stack = []
            _active.reset(token)

    def lap(self) -> dict[str, float]:
        """Return the seconds of each stage since the last lap."""
        self._book()
        since = {name: value - self._lapped.get(name, 0.0) for name, value in self.seconds.items()}
        self._lapped = dict(self.seconds)
        return {name: value for name, value in since.items() if value > 0}

    def _book(self) -> None:
        if self._synchronise is not None:
            self._synchronise()
        now = time.perf_counter()
        if self._stack:
            self.seconds[self._stack[-1]] += now - self._since
        self._since = now

    def _enter(self, name: str) -> None:
        self._book()
        self._stack.append(name)

    def _leave(self) -> None:
        self._book()
        self._stack.pop()


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Count the block as this stage, on the stopwatch that runs in this thread, if any."""
    watch = _active.get()
    if watch is None:
        yield
        return
    watch._enter(name)
    try:
        yield
    finally:
        watch._leave()


def next_stage(name: str) -> None:
    """From here to the end of the current stage, count as another one."""
    watch = _active.get()
    if watch is not None and watch._stack[-1] != name:
        watch._book()
        watch._stack[-1] = name
