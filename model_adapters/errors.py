"""The errors that a user can act on. Everything else that is raised is a bug and keeps its traceback."""

from enum import StrEnum
from pathlib import Path

__all__ = ["InputError", "MediaError", "MediaFault", "QsvError", "SetupError"]


class QsvError(Exception):
    """What went wrong, where, and the next step, in one line. The command line shows it without a traceback."""


class SetupError(QsvError):
    """The set-up is wrong (a folder, an option, a name): nothing was started and nothing was overwritten."""


class InputError(SetupError, ValueError):
    """A processor was given inputs or options that it cannot take. Callers of transformers expect a ValueError."""


class MediaFault(StrEnum):
    """Why a video or image could not be used."""

    MISSING = "missing"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    NO_VIDEO = "no video stream"
    UNDECODABLE = "undecodable"
    OUT_OF_RANGE = "segment outside the clip"
    HUNG = "its reader hung"
    DIED = "its reader died"


class MediaError(QsvError):
    """A video or image that cannot be read. It costs one sample, never the run."""

    def __init__(self, path: str | Path, fault: MediaFault, detail: str = "") -> None:
        """Build the message "PATH: FAULT (DETAIL)"."""
        self.path = str(path)
        self.fault = fault
        self.detail = detail
        super().__init__(f"{self.path}: {fault.value}" + (f" ({detail})" if detail else ""))

    def __reduce__(self) -> tuple[type["MediaError"], tuple[str, MediaFault, str]]:
        # The reader may run in a worker process, and exceptions cross that border by pickle.
        return type(self), (self.path, self.fault, self.detail)
