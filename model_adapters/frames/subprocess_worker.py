"""A process that reads videos for another one: `python -m qsv_eval.model_adapters.frames.subprocess_worker FD`.

It opens the files itself, and its frames reach the other process without a copy: they are decoded into memory that has
a descriptor (`memfd_create`), and the descriptor is what is sent. Such memory has no name that could be left behind,
and no limit as `/dev/shm` has in containers; it is free when both processes let go of it.

This is a plain subprocess and none of `multiprocessing`, which would import the main program again, torch included.
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
    """Room for frames that another process can map."""

    def __init__(self) -> None:
        self.fd: int | None = None
        self.shape: tuple[int, ...] = ()

    def allocate(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return uint8 room in memory with a descriptor."""
        self.close()  # the frame store may ask again
        self.shape = shape
        self.fd = os.memfd_create("qsv-frames", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, int(np.prod(shape)))
        return _mapped(self.fd, shape)

    def close(self) -> None:
        """Let go of it; whoever has mapped it keeps it."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


def _mapped(fd: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.frombuffer(mmap.mmap(fd, int(np.prod(shape))), np.uint8).reshape(shape)


def receive_frames(channel: socket.socket, shape: tuple[int, ...]) -> np.ndarray:
    """Map the frames that a worker sent; they are freed with the array. EOFError if it died before it sent them."""
    _, fds, _, _ = socket.recv_fds(channel, 1, 1)
    if not fds:
        raise EOFError
    [fd] = fds
    try:
        return _mapped(fd, shape)
    finally:
        os.close(fd)


def _serve(channel: socket.socket, settings: ReadSettings, next_job: Callable[[], ReadJob | None]) -> None:
    replies = Connection(os.dup(channel.fileno()))
    while (job := next_job()) is not None:
        room = _SharedFrames()
        result = run_read_job(job, settings, room.allocate)
        if result.footage is None:
            replies.send((result, None))
        else:
            frames = len(result.footage.frames)
            replies.send((result._replace(footage=result.footage._replace(frames=np.empty(0))), (room.shape, frames)))
            socket.send_fds(channel, [b"f"], [room.fd or 0])
        del result  # or its frames would stay mapped here until the next are there
        room.close()


def main() -> None:
    """Serve jobs until the other side is gone, even in the middle of a file that never ends."""
    os.nice(10)  # the process that answers goes first; reading takes what it leaves
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits for us
    channel = socket.socket(fileno=int(sys.argv[1]))
    jobs = Connection(os.dup(channel.fileno()))
    settings: ReadSettings = jobs.recv()
    waiting: queue.SimpleQueue[ReadJob | None] = queue.SimpleQueue()

    def listen() -> None:
        try:
            while True:
                waiting.put(jobs.recv())
        except (EOFError, OSError):
            os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    _serve(channel, settings, waiting.get)


if __name__ == "__main__":
    main()
