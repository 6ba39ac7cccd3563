"""Frames once read, kept on disk for every later run on the same videos: many checkpoints, one decoding.

    store = FrameStore(Path("/scratch/frames"), max_bytes=200 << 30)
    footage, hit = store.read("talk.mp4", [ClipRequest(FrameRule())])

A reading is found again by the video's content, the requests, size and resize, and by all that decides what frames a
video has: `FRAME_VERSION` of our code, FFmpeg and Pillow. Any number of processes and machines may share the folder.
Nothing that goes wrong with it fails a reading.
"""

import hashlib
import json
import logging
import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import av
import PIL

from qsv_eval.model_adapters.files import UNFINISHED, atomic_write
from qsv_eval.model_adapters.frames.content_id import identity
from qsv_eval.model_adapters.frames.decode import Resize
from qsv_eval.model_adapters.frames.decoded_frames import (
    Allocate,
    ClipRequest,
    DecodedFrames,
    empty_frames,
    read_frames,
)
from qsv_eval.model_adapters.frames.store_format import (
    DamagedEntryError,
    TooLargeError,
    read_entry_frames,
    read_entry_index,
    request_key,
    write_entry,
)

__all__ = ["FRAME_VERSION", "FrameStore", "StoredRead"]

_log = logging.getLogger(__name__)

FRAME_VERSION: Final = "7e08931affeb"
"""Version of the code that decides which frames an entry holds, their pixels, and the file format of an entry.

It changes when, and only when, one of these changes: then stored frames are read from the videos again. The golden
outputs in `tests/test_golden.py` show whether a change of the code moves frames.
"""
_SUFFIX = ".frames"
_STALE_S = 3600.0  # a writer that has not written for so long was killed


class StoredRead(NamedTuple):
    """A footage and where it came from."""

    footage: DecodedFrames
    hit: bool
    """Whether it was in the store; otherwise it was read from the video, and kept if that could be done."""


@dataclass(frozen=True)
class FrameStore:
    """A folder of entries, of which the least recently used go when there are more than `max_bytes`."""

    folder: Path
    max_bytes: int

    def read(
        self,
        path: str | Path,
        requests: Sequence[ClipRequest],
        size: tuple[int, int] = (384, 384),
        resize: Resize = "exact",
        allocate: Allocate = empty_frames,
    ) -> StoredRead:
        """Read as `read_frames` does, the same frames byte for byte, from the store if it has them.

        `allocate` is called a second time only if a sound entry cannot be read to its end; then the later room counts.
        """
        names = [request_key(request) for request in requests]
        try:
            before, key = _state(path), _key(identity(path), size, resize)
        except OSError:  # may not be read; whoever reads videos has a name for that
            return StoredRead(read_frames(path, requests, size, resize, allocate), False)
        footage = self._find(key, names, path, allocate) if names else None
        if footage is not None:
            return StoredRead(footage, True)
        footage = read_frames(path, requests, size, resize, allocate)
        if _state(path) == before:  # otherwise it is still being written
            self._keep(self._shard(key) / _entry_name(key, names), names, footage)
        return StoredRead(footage, False)

    def _shard(self, key: str) -> Path:
        """Return the folder of an entry: looking through one of 256 for a video's entries takes no time."""
        return self.folder / key[:2]

    def _find(self, key: str, names: Sequence[str], path: str | Path, allocate: Allocate) -> DecodedFrames | None:
        """Look at the entry for just these requests first, then at the video's others, which may have them too."""
        exact = self._shard(key) / _entry_name(key, names)
        if (footage := _read_entry(exact, names, path, allocate)) is not None:
            return footage
        for entry in sorted(self._shard(key).glob(f"{key}-*{_SUFFIX}")):
            if entry != exact and (footage := _read_entry(entry, names, path, allocate)) is not None:
                return footage
        return None

    def _keep(self, entry: Path, names: Sequence[str], footage: DecodedFrames) -> None:
        # Nothing is synced to the disk: what a power cut tears has a wrong checksum.
        try:
            with atomic_write(entry, many_writers=True) as draft, draft.open("xb") as file:
                write_entry(file, names, footage, self.max_bytes)
            self._make_room()
        except TooLargeError:
            pass
        except OSError as error:
            _warn_once(self.folder, error.strerror or str(error))

    def _make_room(self) -> None:
        """Remove what was used least recently until the rest fits, and what killed writers left behind."""
        stale = time.time() - _STALE_S
        kept, total = [], 0
        for file, stat in _files(self.folder):
            if file.endswith(UNFINISHED) and stat.st_mtime < stale:
                _remove(file)
                continue
            total += stat.st_size
            if file.endswith(_SUFFIX):
                kept.append((stat.st_mtime_ns, file, stat.st_size))
        for _, file, size in sorted(kept):
            if total <= self.max_bytes:
                return
            _remove(file)
            total -= size


def _read_entry(entry: Path, names: Sequence[str], path: str | Path, allocate: Allocate) -> DecodedFrames | None:
    """Return what the requests see, or None if this entry does not have it; remove it if it is damaged."""
    try:
        with entry.open("rb") as file:
            index = read_entry_index(file)
            if not index.serves(names):
                return None
            with suppress(OSError):  # the folder may be there for reading only
                os.utime(file.fileno())
            return read_entry_frames(file, index, names, path, allocate)
    except DamagedEntryError:
        _remove(entry)
    except OSError:  # not there, or removed by another process, or on a disk that fails
        pass
    return None


def _key(content: str, size: tuple[int, int], resize: str) -> str:
    named = json.dumps([content, *size, resize, _frame_version()])
    return hashlib.sha256(named.encode()).hexdigest()[:32]


def _entry_name(key: str, names: Sequence[str]) -> str:
    return f"{key}-{hashlib.sha256(json.dumps(sorted(set(names))).encode()).hexdigest()[:16]}{_SUFFIX}"


@cache
def _frame_version() -> str:
    """Return the state of all that decides what frames a video has."""
    return f"{FRAME_VERSION} {av.__version__} {av.library_versions} {PIL.__version__} {platform.machine()}"


def _state(path: str | Path) -> tuple[int, int] | None:
    with suppress(OSError):
        stat = os.stat(path)
        return stat.st_size, stat.st_mtime_ns
    return None


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the store's files that are still there when they are looked at, and no other files."""
    for shard in os.scandir(folder):
        with suppress(OSError), os.scandir(shard) as items:
            for item in items:
                if item.name.endswith((_SUFFIX, UNFINISHED)):
                    with suppress(FileNotFoundError):
                        yield item.path, item.stat()


def _remove(file: str | Path) -> None:
    with suppress(OSError):
        os.unlink(file)


_warned: set[Path] = set()


def _warn_once(folder: Path, reason: str) -> None:
    """Warn once a process, however many stores it makes of a folder."""
    if folder not in _warned:
        _warned.add(folder)
        _log.warning("%s: frames cannot be kept here (%s); they are read from the videos each time", folder, reason)
