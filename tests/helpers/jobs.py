"""Jobs for other processes, which must be able to import them."""

import os
import signal


def process(_: object) -> int:
    """Return who does it."""
    return os.getpid()


def fails(number: int) -> float:
    """Return 1 / (number - 3)."""
    return 1 / (number - 3)


def dies(_: object) -> None:
    """Be killed, as for want of memory."""
    os.kill(os.getpid(), signal.SIGKILL)
