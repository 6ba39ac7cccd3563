"""What happens when memory runs out: free, try once more alone, and only then give up or look at fewer frames."""

import gc
import logging
import traceback
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from qsv_eval.model_adapters.errors import QsvError

__all__ = [
    "LADDER",
    "catch_sample_error",
    "free_memory",
    "is_out_of_memory",
    "peak_bytes",
    "smaller_frame_counts",
    "start_peak",
]

_log = logging.getLogger(__name__)
_P = ParamSpec("_P")
_T = TypeVar("_T")

LADDER = (256, 128, 64, 32, 16, 8)
"""Frames of a video to step down to, with `allow_degraded`; each such answer is marked."""


_MARKERS = ("can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""Of errors that torch raises as plain RuntimeErrors."""


def catch_sample_error(work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T | Exception:
    """Do something that may fail for one sample's sake: return what it gives, or the error.

    The error comes without its traceback, which would keep tensors alive; one that nobody foresaw is logged with it.
    """
    try:
        return work(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - one sample's failure, whatever it is, is recorded with its reason
        if not isinstance(error, QsvError) and not is_out_of_memory(error):
            # as text: whoever keeps the log record would with exc_info keep the traceback too
            _log.warning("a question or a batch failed: %s", traceback.format_exc())
        _forget_traceback(error)
        return error


def is_out_of_memory(error: object) -> bool:
    """Say whether this is an error of memory that ran out: the accelerator's, or this machine's."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(marker in str(error) for marker in _MARKERS)
    )


def _forget_traceback(error: BaseException | None) -> None:
    """Take the traceback from an error and from all that led to it."""
    if error is not None and error.__traceback__ is not None:
        error.__traceback__ = None
        _forget_traceback(error.__cause__)
        _forget_traceback(error.__context__)


def free_memory() -> None:
    """Give back what nothing uses any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def smaller_frame_counts(frames: int) -> list[int]:
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
