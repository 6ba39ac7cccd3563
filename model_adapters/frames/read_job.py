"""One job of reading, here or in a worker process: a file's frames, or why there are none, and what it took."""

import time
from pathlib import Path
from typing import NamedTuple

from qsv_eval.model_adapters.errors import MediaError
from qsv_eval.model_adapters.frames.decode import Resize
from qsv_eval.model_adapters.frames.decoded_frames import (
    Allocate,
    ClipRequest,
    DecodedFrames,
    empty_frames,
    read_frames,
)
from qsv_eval.model_adapters.frames.store import FrameStore

__all__ = ["ReadJob", "ReadResult", "ReadSettings", "run_read_job"]


class ReadSettings(NamedTuple):
    """Settings of all reads of a run."""

    size: tuple[int, int]
    """Height and width of the frames."""
    resize: Resize = "exact"
    store: Path | None = None
    """Folder of the frame store."""
    store_bytes: int = 0


class ReadJob(NamedTuple):
    """Frames of one file, for one or several requests."""

    path: str
    requests: tuple[ClipRequest, ...]


class ReadResult(NamedTuple):
    """Result of a job: frames, or an error."""

    footage: DecodedFrames | None
    error: Exception | None
    read_s: float
    """Seconds that it took."""
    from_store: bool = False


def run_read_job(job: ReadJob, settings: ReadSettings, allocate: Allocate = empty_frames) -> ReadResult:
    """Read a file's frames, from the frame store if there is one that has them. Errors are part of the result."""
    started = time.perf_counter()
    footage: DecodedFrames | None = None
    error: Exception | None = None
    from_store = False
    try:
        if settings.store is None:
            footage = read_frames(job.path, job.requests, settings.size, settings.resize, allocate)
        else:
            store = FrameStore(settings.store, settings.store_bytes)
            footage, from_store = store.read(job.path, job.requests, settings.size, settings.resize, allocate)
    except MediaError as unreadable:
        error = unreadable.with_traceback(None)  # it would keep the frames
    except Exception as unexpected:  # noqa: BLE001 - whatever a damaged file does to a decoder, the run goes on
        error = RuntimeError(f"{type(unexpected).__name__}: {unexpected}")  # one that can be sent
    return ReadResult(footage, error, time.perf_counter() - started, from_store)
