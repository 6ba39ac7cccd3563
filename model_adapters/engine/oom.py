"""Errors of one sample, above all out of memory, and the memory in use."""

import gc
import logging
import traceback
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from qsv_eval.model_adapters.errors import QsvError

__all__ = ["catch_sample_error", "free_memory", "is_out_of_memory", "peak_bytes", "smaller_frame_counts", "start_peak"]

_log = logging.getLogger(__name__)
_P = ParamSpec("_P")
_T = TypeVar("_T")

_FRAME_COUNTS = (256, 128, 64, 32, 16, 8)
"""Frames of a video to try in turn with `allow_degraded`; each such answer is marked."""
_MESSAGES = ("can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""Texts of out-of-memory errors that torch raises as a plain RuntimeError."""


def catch_sample_error(work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T | Exception:
    """Call a function that may fail for one sample, and return its value or its error.

    The error has no traceback, which would keep tensors alive; the traceback of an unexpected error is logged.
    """
    try:
        return work(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - one sample's failure, whatever it is, is recorded with its reason
        if not isinstance(error, QsvError) and not is_out_of_memory(error):
            # As text: with exc_info the log record would keep the traceback alive too.
            _log.warning("a request or a batch failed: %s", traceback.format_exc())
        _drop_traceback(error)
        return error


def is_out_of_memory(error: object) -> bool:
    """Say whether an error means that memory ran out, on the accelerator or on this machine."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(message in str(error) for message in _MESSAGES)
    )


def _drop_traceback(error: BaseException | None) -> None:
    """Remove the traceback of an error and of the errors that caused it."""
    if error is not None and error.__traceback__ is not None:
        error.__traceback__ = None
        _drop_traceback(error.__cause__)
        _drop_traceback(error.__context__)


def free_memory() -> None:
    """Collect garbage and release the accelerator's cached memory."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def smaller_frame_counts(frames: int) -> list[int]:
    """Return the smaller numbers of frames to try instead of `frames`, largest first."""
    return [count for count in _FRAME_COUNTS if count < frames]


def start_peak() -> None:
    """Start to measure the peak memory of the accelerators."""
    if torch.cuda.is_available():
        for device in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(device)


def peak_bytes() -> int:
    """Return the peak memory since `start_peak`: of the accelerators, or without one of this process so far."""
    if torch.cuda.is_available():
        return sum(torch.cuda.max_memory_allocated(device) for device in range(torch.cuda.device_count()))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
