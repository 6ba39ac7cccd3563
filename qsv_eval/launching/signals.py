"""A clean stop: Ctrl-C and SIGTERM end a run in one line that says what is safe and how to go on.

Both become a `KeyboardInterrupt`, so that the journal gets its last line. A process that waits in a collective for a
rank that is gone never comes back to Python; it is ended a little later all the same.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from qsv_eval.launching.rank_status import STOP_SIGNALS, is_supervised, note_end
from qsv_eval.model_adapters.plurals import counted
from qsv_eval.status.progress import safe_answers

__all__ = ["exit_code", "stop_message", "stop_on_signals"]

_PATIENCE_S = 5.0


def exit_code(signal_number: int) -> int:
    """Return the exit code of a process that a signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + signal_number


def stop_message(output: Path) -> str:
    """Return the last line of a stopped run: how many answers are safe, and how to go on."""
    safe = f"{counted(safe_answers(output), 'answer')} safe in {output}"
    return f"qsv-eval: stopped; {safe}; give the same command again to go on"


@contextmanager
def stop_on_signals(output: Path) -> Iterator[None]:
    """End the process in order on Ctrl-C or SIGTERM while a run writes to `output`; only for the main thread."""
    received: list[int] = []
    leaving = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if not leaving:  # a second signal must not tear the stop that the first one asked for
            raise KeyboardInterrupt

    heeded = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in heeded}
    try:
        with _watchdog(output):
            yield
    except KeyboardInterrupt:
        leaving = True
        if not is_supervised():
            print(stop_message(output), file=sys.stderr, flush=True)
        raise SystemExit(exit_code(received[0] if received else signal.SIGINT)) from None
    finally:
        leaving = True
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _watchdog(output: Path) -> Iterator[None]:
    """End the process `_PATIENCE_S` after a signal that Python had no chance to act on."""
    told, tell = socket.socketpair()
    tell.setblocking(False)
    over = threading.Event()

    def watch() -> None:
        while (byte := told.recv(1)) and byte[0] not in STOP_SIGNALS:
            pass
        if byte and not over.wait(_PATIENCE_S):
            note_end(exit_code(byte[0]))
            if not is_supervised():
                print(stop_message(output), file=sys.stderr, flush=True)
            os._exit(exit_code(byte[0]))

    before = signal.set_wakeup_fd(tell.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        over.set()
        tell.close()
        thread.join()
        told.close()
