"""Worker process that reads videos: `python -m qsv_eval.model_adapters.frames.subprocess_worker FD`.

Frames are decoded into memory with a descriptor (`memfd_create`), and the descriptor is sent, so nothing is copied.
Such memory leaves no file behind, is not limited like `/dev/shm` in containers, and is freed when both processes close
it. A plain subprocess, because `multiprocessing` would import the main program again, torch included.
"""

import mmap
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np

from qsv_eval.model_adapters.frames.read_job import ReadJob, ReadSettings, run_read_job

__all__ = ["receive_frames"]


class _SharedFrames:
    """Frame buffer that another process can map."""

    def __init__(self) -> None:
        self.fd: int | None = None
        self.shape: tuple[int, ...] = ()

    def allocate(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return a uint8 array in memory with a descriptor."""
        self.close()  # the frame store may allocate twice
        self.shape = shape
        self.fd = os.memfd_create("qsv-frames", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, int(np.prod(shape)))
        return _mapped(self.fd, shape)

    def close(self) -> None:
        """Close the descriptor; existing mappings stay valid."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


def _mapped(fd: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.frombuffer(mmap.mmap(fd, int(np.prod(shape))), np.uint8).reshape(shape)


def receive_frames(channel: socket.socket, shape: tuple[int, ...]) -> np.ndarray:
    """Map the frames that a worker sent; freed with the array. Raises EOFError if the worker died before."""
    _, fds, _, _ = socket.recv_fds(channel, 1, 1)
    if not fds:
        raise EOFError
    [fd] = fds
    try:
        return _mapped(fd, shape)
    finally:
        os.close(fd)


def _serve(channel: socket.socket, settings: ReadSettings, next_job: Callable[[], ReadJob | None]) -> None:
    """Answer jobs with `(result without frames, layout)`, then the frames' descriptor; layout is None on errors."""
    results = Connection(os.dup(channel.fileno()))
    while (job := next_job()) is not None:
        shared = _SharedFrames()
        result = run_read_job(job, settings, shared.allocate)
        if result.footage is None:
            results.send((result, None))
        else:
            layout = shared.shape, len(result.footage.frames)
            results.send((result._replace(footage=result.footage._replace(frames=np.empty(0))), layout))
            socket.send_fds(channel, [b"f"], [shared.fd or 0])
        del result  # unmaps its frames before the next job
        shared.close()


def main() -> None:
    """Serve jobs; exit as soon as the parent is gone, even in the middle of a file."""
    os.nice(10)  # the process that runs the model has priority
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the parent
    channel = socket.socket(fileno=int(sys.argv[1]))
    jobs = Connection(os.dup(channel.fileno()))
    settings: ReadSettings = jobs.recv()
    pending: queue.SimpleQueue[ReadJob | None] = queue.SimpleQueue()

    def listen() -> None:
        try:
            while True:
                pending.put(jobs.recv())
        except (EOFError, OSError):
            os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    _serve(channel, settings, pending.get)


if __name__ == "__main__":
    main()
