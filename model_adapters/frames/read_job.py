"""Read job: the frames of one file for several requests, read in this process or in a worker."""

import time
from pathlib import Path
from typing import NamedTuple

from qsv_eval.model_adapters.errors import MediaError
from qsv_eval.model_adapters.frames.decode import Resize
from qsv_eval.model_adapters.frames.decoded_frames import (
    ClipRequest,
    DecodedFrames,
    FrameAllocator,
    allocate_array,
    read_frames,
)
from qsv_eval.model_adapters.frames.store import FrameStore

__all__ = ["ReadJob", "ReadResult", "ReadSettings", "run_read_job"]


class ReadSettings(NamedTuple):
    """Settings that all read jobs of a run share."""

    size: tuple[int, int]
    """Height and width of the frames."""
    resize: Resize = "exact"
    store: Path | None = None
    """Folder of the frame store; None reads without one."""
    store_bytes: int = 0
    """Size limit of the frame store."""


class ReadJob(NamedTuple):
    """A file and the requests for its frames."""

    path: str
    requests: tuple[ClipRequest, ...]


class ReadResult(NamedTuple):
    """Frames or the error of a read job, and its duration."""

    footage: DecodedFrames | None
    error: Exception | None
    read_s: float
    """Duration of the job in seconds."""
    from_store: bool = False


def run_read_job(job: ReadJob, settings: ReadSettings, allocate: FrameAllocator = allocate_array) -> ReadResult:
    """Read a file's frames, from the frame store if it has them. Errors are part of the result, not raised."""
    started = time.perf_counter()
    decoded: DecodedFrames | None = None
    error: Exception | None = None
    from_store = False
    try:
        if settings.store is None:
            decoded = read_frames(job.path, job.requests, settings.size, settings.resize, allocate)
        else:
            store = FrameStore(settings.store, settings.store_bytes)
            decoded, from_store = store.read(job.path, job.requests, settings.size, settings.resize, allocate)
    except MediaError as unreadable:
        error = unreadable.with_traceback(None)  # a traceback keeps the frames in memory
    except Exception as unexpected:  # noqa: BLE001 - whatever a decoder raises on a damaged file, the run continues
        error = RuntimeError(f"{type(unexpected).__name__}: {unexpected}")  # some exceptions cannot be pickled
    return ReadResult(decoded, error, time.perf_counter() - started, from_store)
