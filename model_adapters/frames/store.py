"""Frame store: decoded frames on disk, so that later runs on the same videos decode nothing.

    store = FrameStore(Path("/scratch/frames"), max_bytes=200 << 30)
    decoded, hit = store.read("talk.mp4", [ClipRequest(FrameRule())])

The key of an entry is the video's content, the requests, size, resize, `FRAME_VERSION` and the versions of FFmpeg and
Pillow. Processes and machines may share the folder. An error of the store never fails a read.
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
from qsv_eval.model_adapters.frames.content_id import content_id
from qsv_eval.model_adapters.frames.decode import Resize
from qsv_eval.model_adapters.frames.decoded_frames import (
    ClipRequest,
    DecodedFrames,
    FrameAllocator,
    allocate_array,
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
"""Version of frame selection, of pixels and of the entry format; change it if, and only if, one of them changes.

Frames of other versions are decoded again. The golden outputs in `tests/test_golden.py` show such a change.
"""
_SUFFIX = ".frames"
_STALE_S = 3600.0  # an unfinished file of this age belongs to a killed process


class StoredRead(NamedTuple):
    """Decoded frames and their origin."""

    footage: DecodedFrames
    hit: bool
    """Whether the store had them; otherwise they were decoded, and stored if possible."""


@dataclass(frozen=True)
class FrameStore:
    """Folder of entries; the least recently used are evicted above `max_bytes`."""

    folder: Path
    max_bytes: int

    def read(
        self,
        path: str | Path,
        requests: Sequence[ClipRequest],
        size: tuple[int, int] = (384, 384),
        resize: Resize = "exact",
        allocate: FrameAllocator = allocate_array,
    ) -> StoredRead:
        """Return the same as `read_frames`, byte for byte, from the store if it has the frames.

        `allocate` is called twice only if an entry turns out unreadable after its check; then the later array is used.
        """
        request_keys = [request_key(request) for request in requests]
        try:
            before, key = _state(path), _key(content_id(path), size, resize)
        except OSError:  # unreadable: read_frames raises the MediaError
            return StoredRead(read_frames(path, requests, size, resize, allocate), False)
        decoded = self._find(key, request_keys, path, allocate) if request_keys else None
        if decoded is not None:
            return StoredRead(decoded, True)
        decoded = read_frames(path, requests, size, resize, allocate)
        if _state(path) == before:  # otherwise the video is still being written
            self._save(self._shard(key) / _entry_name(key, request_keys), request_keys, decoded)
        return StoredRead(decoded, False)

    def _shard(self, key: str) -> Path:
        """Return the folder of an entry, one of 256, so that listing a video's entries is fast."""
        return self.folder / key[:2]

    def _find(
        self, key: str, request_keys: Sequence[str], path: str | Path, allocate: FrameAllocator
    ) -> DecodedFrames | None:
        """Return the frames from the entry for exactly these requests, or from another entry of the video."""
        exact = self._shard(key) / _entry_name(key, request_keys)
        if (decoded := _read_entry(exact, request_keys, path, allocate)) is not None:
            return decoded
        for entry in sorted(self._shard(key).glob(f"{key}-*{_SUFFIX}")):
            if entry != exact and (decoded := _read_entry(entry, request_keys, path, allocate)) is not None:
                return decoded
        return None

    def _save(self, entry: Path, request_keys: Sequence[str], decoded: DecodedFrames) -> None:
        # Not synced to disk: checksums detect an entry that a power cut damaged.
        try:
            with atomic_write(entry, many_writers=True) as draft, draft.open("xb") as file:
                write_entry(file, request_keys, decoded, self.max_bytes)
            self._evict()
        except TooLargeError:
            pass
        except OSError as error:
            _warn_once(self.folder, error.strerror or str(error))

    def _evict(self) -> None:
        """Remove unfinished files of killed processes, and the least recently used entries until the rest fits."""
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


def _read_entry(
    entry: Path, request_keys: Sequence[str], path: str | Path, allocate: FrameAllocator
) -> DecodedFrames | None:
    """Return the frames of the requests, or None if this entry lacks them; remove a damaged entry."""
    try:
        with entry.open("rb") as file:
            index = read_entry_index(file)
            if not index.serves(request_keys):
                return None
            with suppress(OSError):  # the folder may be read-only
                os.utime(file.fileno())
            return read_entry_frames(file, index, request_keys, path, allocate)
    except DamagedEntryError:
        _remove(entry)
    except OSError:  # missing, removed by another process, or on a failing disk
        pass
    return None


def _key(content: str, size: tuple[int, int], resize: str) -> str:
    named = json.dumps([content, *size, resize, _frame_version()])
    return hashlib.sha256(named.encode()).hexdigest()[:32]


def _entry_name(key: str, request_keys: Sequence[str]) -> str:
    return f"{key}-{hashlib.sha256(json.dumps(sorted(set(request_keys))).encode()).hexdigest()[:16]}{_SUFFIX}"


@cache
def _frame_version() -> str:
    """Return the versions of everything that decides a video's frames."""
    return f"{FRAME_VERSION} {av.__version__} {av.library_versions} {PIL.__version__} {platform.machine()}"


def _state(path: str | Path) -> tuple[int, int] | None:
    with suppress(OSError):
        stat = os.stat(path)
        return stat.st_size, stat.st_mtime_ns
    return None


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield path and status of the store's own files that still exist."""
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
    """Warn once per process and folder."""
    if folder not in _warned:
        _warned.add(folder)
        _log.warning("%s: frames cannot be stored here (%s), so every run decodes the videos again", folder, reason)
