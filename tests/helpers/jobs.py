"""Functions for worker processes, in a module that these can import."""

import os
import signal


def process(_: object) -> int:
    """Return the id of the process."""
    return os.getpid()


def fails(number: int) -> float:
    """Return 1 / (number - 3)."""
    return 1 / (number - 3)


def dies(_: object) -> None:
    """Kill this process, as the kernel does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)
