"""What happens when memory runs out: free, try once more alone, and only then give up or look at fewer frames."""

import gc
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import torch

__all__ = ["LADDER", "Attempt", "attempt", "free", "is_out_of_memory", "peak_bytes", "rungs_below", "start_peak"]

_T = TypeVar("_T")

LADDER = (256, 128, 64, 32, 16, 8)
"""Frames of a video to step down to, with `allow_degraded`; each such answer is marked."""


class Attempt(NamedTuple):
    """What came of trying something: a value, or the error without its traceback, which would keep tensors alive."""

    value: object
    error: Exception | None


_MARKERS = ("can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""Of errors that torch raises as plain RuntimeErrors."""


def attempt(work: Callable[[], object]) -> Attempt:
    """Do something that may fail for one sample's sake."""
    try:
        return Attempt(work(), None)
    except Exception as error:  # noqa: BLE001 - one sample's failure, whatever it is, is recorded with its reason
        _forget_traceback(error)
        return Attempt(None, error)


def is_out_of_memory(error: Exception | None) -> bool:
    """Say whether memory ran out: the accelerator's, or this machine's."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(marker in str(error) for marker in _MARKERS)
    )


def _forget_traceback(error: BaseException | None) -> None:
    """Take the traceback from an error and from all that led to it."""
    if error is not None and error.__traceback__ is not None:
        error.__traceback__ = None
        _forget_traceback(error.__cause__)
        _forget_traceback(error.__context__)


def free() -> None:
    """Give back what nothing uses any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def rungs_below(frames: int) -> list[int]:
    """Return the numbers of frames to step down to from so many, largest first."""
    return [rung for rung in LADDER if rung < frames]


def start_peak() -> None:
    """Begin to watch for the most memory in use."""
    if torch.cuda.is_available():
        for device in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(device)


def peak_bytes() -> int:
    """Return the most memory in use since `start_peak`: the accelerators', or without one this process's so far."""
    if torch.cuda.is_available():
        return sum(torch.cuda.max_memory_allocated(device) for device in range(torch.cuda.device_count()))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
