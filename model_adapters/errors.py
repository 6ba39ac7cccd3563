"""Errors that a user can act on. Any other exception is a bug and keeps its traceback."""

from enum import StrEnum
from pathlib import Path

__all__ = ["InputError", "MediaError", "MediaFault", "QsvError", "SetupError"]


class QsvError(Exception):
    """Base of these errors: one line with what is wrong, where, and what to do next. Shown without a traceback."""


class SetupError(QsvError):
    """A wrong folder, option or name. Nothing was started and nothing was overwritten."""


class InputError(SetupError, ValueError):
    """Inputs or options that the processor cannot take; a ValueError, as callers of transformers expect."""


class MediaFault(StrEnum):
    """Reason why a video or image cannot be used."""

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
        # Errors of a reader process arrive by pickle.
        return type(self), (self.path, self.fault, self.detail)
