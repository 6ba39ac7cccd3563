"""Seconds of a thread by stage, each second counted once.

    timer = StageTimer()
    with timer.running():
        with stage("vit"):
            ...

Timed code only calls `stage(name)`, which does nothing where no timer runs. An inner stage pauses the outer one, so the
stages add up to the time that the timer ran.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["STAGES", "StageTimer", "next_stage", "stage"]

STAGES = ("wait", "vit", "cubing", "prefill", "generation", "other")
"""Waiting for frames, vision tower, rest of perception, reading the prompt, generating the reply, everything else."""

_active: ContextVar["StageTimer | None"] = ContextVar("stage_timer", default=None)


class StageTimer:
    """Counter of seconds by stage. Time outside of any stage is "other"."""

    def __init__(self, synchronise: Callable[[], object] | None = None) -> None:
        """Make a timer; `synchronise` waits for the accelerator, whose work goes on while Python runs ahead."""
        self.seconds: dict[str, float] = defaultdict(float)
        self._synchronise = synchronise
        self._stack: list[str] = []
        self._since = 0.0
        self._last_lap: dict[str, float] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count until the block ends."""
        token = _active.set(self)
        self._stack, self._since = ["other"], time.perf_counter()
        try:
            yield
        finally:
            self._count()
            self._stack = []
            _active.reset(token)

    def lap(self) -> dict[str, float]:
        """Return the seconds of each stage since the last lap."""
        self._count()
        since = {name: value - self._last_lap.get(name, 0.0) for name, value in self.seconds.items()}
        self._last_lap = dict(self.seconds)
        return {name: value for name, value in since.items() if value > 0}

    def _count(self) -> None:
        """Add the time since the last call to the current stage."""
        if self._synchronise is not None:
            self._synchronise()
        now = time.perf_counter()
        if self._stack:
            self.seconds[self._stack[-1]] += now - self._since
        self._since = now


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Count the block as this stage on the timer that runs in this thread, if any."""
    timer = _active.get()
    if timer is None:
        yield
        return
    timer._count()
    timer._stack.append(name)
    try:
        yield
    finally:
        timer._count()
        timer._stack.pop()


def next_stage(name: str) -> None:
    """Count the rest of the current stage as another one."""
    timer = _active.get()
    if timer is not None and timer._stack[-1] != name:
        timer._count()
        timer._stack[-1] = name
