"""The file that one entry of the frame store is: a footage with its requests, and a checksum for every part.

    the packed frames, one after the other · index (JSON) · length of the index, its checksum, a magic word

A file that is not exactly as long as its index says, or of which a part has another checksum, is damaged. All of it is
checked before anything is unpacked, so whoever gets a footage gets the right one.
"""

import json
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import IO, Any

import numpy as np
import zstandard

from qsv_eval.model_adapters.errors import MediaError, MediaFault
from qsv_eval.model_adapters.frames.decoded_frames import Allocate, ClipRequest, DecodedFrames, FrameSelection

__all__ = [
    "DamagedEntryError",
    "EntryIndex",
    "TooLargeError",
    "pack",
    "read_entry_frames",
    "read_entry_index",
    "request_key",
    "unpack",
    "write_entry",
]

# MERGED DOCSTRINGS, to be worked into the one above:
# Frames as fewer bytes and back, bit for bit, each frame by itself.
#
# Green is taken out of red and blue, and from each row the row above; the rest goes through zstd at its fastest level.
# Of all that was tried (docs/performance.md) this is back the soonest, in about a millisecond for 384 x 384, at a
# third of the bytes. What packs a tenth to a third better takes two to ten times as long to unpack, or longer to pack
# than decoding takes. The frame before does not help: a second of film lies between them.

_TAIL = struct.Struct("<II8s")
_MAGIC = b"qsvframe"


class DamagedEntryError(Exception):
    """The file is not what was once written."""


class TooLargeError(Exception):
    """The entry would be larger than it may be."""


@dataclass(frozen=True)
class EntryIndex:
    """What an entry holds, frames aside."""

    shape: list[int]
    """Of its frames, `[T, H, W, 3]`."""
    timestamps_s: list[float]
    fps: float
    packet_errors: int
    views: dict[str, dict[str, Any]]
    """What each request sees, by its name."""
    sizes: list[int]
    """Bytes of each packed frame."""
    checksums: list[int]
    """CRC-32 of each packed frame."""

    def serves(self, names: Sequence[str]) -> bool:
        """Say whether reading these requests from the video would give just what is here.

        Of a damaged video only the same requests together would: what else is read moves what is refused.
        """
        asked = set(names)
        return asked == self.views.keys() if self.packet_errors else asked <= self.views.keys()


def request_key(request: ClipRequest) -> str:
    """Return a text that is the same for requests that mean the same."""
    rule, end_s = request.rule, request.end_s
    end_s = None if end_s is None else float(end_s)
    return json.dumps([rule.name, float(rule.fps), rule.max_frames, float(request.start_s or 0.0), end_s])


def write_entry(file: IO[bytes], names: Sequence[str], footage: DecodedFrames, max_bytes: int) -> None:
    """Write the footage of the requests with these names into an empty file; TooLargeError past `max_bytes`."""
    sizes, checksums, written = [], [], 0
    for packed in pack(footage.frames):
        written += len(packed)
        if written > max_bytes:
            raise TooLargeError
        file.write(packed)
        sizes.append(len(packed))
        checksums.append(zlib.crc32(packed))
    views = {name: _plain(view) for name, view in zip(names, footage.views, strict=True)}
    shape, times_s = list(footage.frames.shape), footage.timestamps_s
    index = EntryIndex(shape, times_s, footage.fps, footage.packet_errors, views, sizes, checksums)
    data = json.dumps(vars(index)).encode()
    if written + len(data) + _TAIL.size > max_bytes:
        raise TooLargeError
    file.write(data + _TAIL.pack(len(data), zlib.crc32(data), _MAGIC))


def read_entry_index(file: IO[bytes]) -> EntryIndex:
    """Read what an entry holds; DamagedEntryError if it is damaged so far."""
    end = file.seek(0, 2)
    if end < _TAIL.size:
        raise DamagedEntryError
    file.seek(end - _TAIL.size)
    length, checksum, magic = _TAIL.unpack(file.read(_TAIL.size))
    begin = end - _TAIL.size - length
    if magic != _MAGIC or begin < 0:
        raise DamagedEntryError
    file.seek(begin)
    data = file.read(length)
    if len(data) != length or zlib.crc32(data) != checksum:
        raise DamagedEntryError
    index = EntryIndex(**json.loads(data))
    if sum(index.sizes) != begin:
        raise DamagedEntryError
    return index


def read_entry_frames(
    file: IO[bytes], index: EntryIndex, names: Sequence[str], path: str | Path, allocate: Allocate
) -> DecodedFrames:
    """Read what the requests with these names see, as `read_footage` would from the video at `path`.

    Raises:
        DamagedEntryError: the file is damaged. This is known before `allocate` is called.
        MediaError: none of these requests can be served.
    """
    views = [_view(path, index.views[name]) for name in names]
    errors = [view for view in views if isinstance(view, MediaError)]
    if len(errors) == len(views):
        raise errors[0]
    seen = sorted({position for view in views if isinstance(view, FrameSelection) for position in view.positions})
    for position, packed in zip(seen, _packed_frames(file, index, seen), strict=True):
        if zlib.crc32(packed) != index.checksums[position]:
            raise DamagedEntryError
    frames = allocate((len(seen), *index.shape[1:]))
    try:
        unpack(_packed_frames(file, index, seen), frames)  # read again: it is in the system's cache, and 60 MB here
    except ValueError as error:
        raise DamagedEntryError from error
    place = {position: number for number, position in enumerate(seen)}
    views = [
        view._replace(positions=[place[position] for position in view.positions])
        if isinstance(view, FrameSelection)
        else view
        for view in views
    ]
    return DecodedFrames(
        frames, [index.timestamps_s[position] for position in seen], views, index.fps, index.packet_errors
    )


def _packed_frames(file: IO[bytes], index: EntryIndex, positions: Sequence[int]) -> Iterator[memoryview]:
    """Yield packed frames; each lies where the one before it lay."""
    begins = list(accumulate(index.sizes, initial=0))
    room = memoryview(bytearray(max(index.sizes)))
    for position in positions:
        file.seek(begins[position])
        packed = room[: index.sizes[position]]
        if file.readinto(packed) != len(packed):  # type: ignore[attr-defined]
            raise DamagedEntryError
        yield packed


def _plain(view: FrameSelection | MediaError) -> dict[str, Any]:
    if isinstance(view, MediaError):
        return {"fault": view.fault.value, "detail": view.detail}
    return view._asdict() | {"duration_s": float(view.duration_s)}  # the end that was asked for may be a NumPy number


def _view(path: str | Path, plain: dict[str, Any]) -> FrameSelection | MediaError:
    if "fault" not in plain:
        return FrameSelection(**plain)
    try:
        return MediaError(path, MediaFault(plain["fault"]), plain["detail"])
    except ValueError as error:
        raise DamagedEntryError from error  # the faults had other names when this was written


_LEVEL = 1
# Rows are added up one after the other, for several frames in each step; more of them no longer fit the cache.
_BATCH = 4


def pack(frames_THWC: np.ndarray) -> Iterator[bytes]:
    """Yield each of the uint8 `(T, H, W, 3)` frames packed."""
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    residual_HWC = np.empty(frames_THWC.shape[1:], dtype=np.uint8)
    for frame_HWC in frames_THWC:
        residual_HWC[0] = frame_HWC[0]
        np.subtract(frame_HWC[1:], frame_HWC[:-1], out=residual_HWC[1:])  # uint8 wraps around, here and back
        residual_HWC[..., 0] -= residual_HWC[..., 1]
        residual_HWC[..., 2] -= residual_HWC[..., 1]
        yield compressor.compress(residual_HWC.data)


def unpack(packed: Iterable[bytes | memoryview], frames_THWC: np.ndarray) -> None:
    """Unpack as many frames as there is room for, straight into that room (uint8, C-contiguous).

    Raises:
        ValueError: something else was packed.
    """
    decompressor = zstandard.ZstdDecompressor()
    begun = 0
    for position, (data, frame_HWC) in enumerate(zip(packed, frames_THWC, strict=True)):
        try:
            with decompressor.stream_reader(data) as reader:
                fits = reader.readinto(frame_HWC) == frame_HWC.nbytes and not reader.read(1)
        except zstandard.ZstdError as error:
            raise ValueError(f"frame {position} is damaged: {error}") from error
        if not fits:
            raise ValueError(f"frame {position} has not the {frame_HWC.nbytes} bytes of this size")
        if position + 1 - begun == _BATCH or position + 1 == len(frames_THWC):
            _add_up(frames_THWC[begun : position + 1])
            begun = position + 1


def _add_up(residuals_THWC: np.ndarray) -> None:
    """Turn residuals into frames, in place."""
    for row in range(1, residuals_THWC.shape[1]):
        residuals_THWC[:, row] += residuals_THWC[:, row - 1]
    residuals_THWC[..., 0] += residuals_THWC[..., 1]
    residuals_THWC[..., 2] += residuals_THWC[..., 1]
