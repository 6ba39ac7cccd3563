"""File format of a frame store entry: the frames of several requests on a video, lossless, with checksums.

    packed frames · index (JSON) · length of the index, its CRC-32, a magic word

A file is damaged if its length differs from the index or a checksum is wrong; this is checked before any unpacking.

Each frame is packed by itself: green is subtracted from red and blue, from each row the row above, and the residual
goes through zstd at level 1. Of all codecs tried (benchmarks/frame_store.py) this unpacks fastest, about a millisecond
for 384 x 384, at a third of the bytes; smaller ones unpack 2 to 10 times slower or pack slower than decoding.
Differences to the previous frame do not help, because it lies a second away.
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
from qsv_eval.model_adapters.frames.decoded_frames import ClipRequest, DecodedFrames, FrameAllocator, FrameSelection

__all__ = [
    *("DamagedEntryError", "EntryIndex", "TooLargeError", "pack", "read_entry_frames", "read_entry_index"),
    *("request_key", "unpack", "write_entry"),
]

_TAIL = struct.Struct("<II8s")
_MAGIC = b"qsvframe"


class DamagedEntryError(Exception):
    """The file differs from what was written."""


class TooLargeError(Exception):
    """The entry would exceed its size limit."""


@dataclass(frozen=True)
class EntryIndex:
    """Contents of an entry except the frames; written as JSON with these field names."""

    shape: list[int]
    """Shape of the frames, `[T, H, W, 3]`."""
    timestamps_s: list[float]
    fps: float
    packet_errors: int
    views: dict[str, dict[str, Any]]
    """FrameSelection or error of each request by its key."""
    sizes: list[int]
    """Size of each packed frame in bytes."""
    checksums: list[int]
    """CRC-32 of each packed frame."""

    def serves(self, keys: Sequence[str]) -> bool:
        """Return whether the entry equals a read of the requests with these keys from the video.

        For a damaged video the requests must be exactly the same, because other reads move which packets are refused.
        """
        requested = set(keys)
        return requested == self.views.keys() if self.packet_errors else requested <= self.views.keys()


def request_key(request: ClipRequest) -> str:
    """Return a text that is equal for equivalent requests."""
    rule, end_s = request.rule, request.end_s
    end_s = None if end_s is None else float(end_s)
    return json.dumps([rule.name, float(rule.fps), rule.max_frames, float(request.start_s or 0.0), end_s])


def write_entry(file: IO[bytes], keys: Sequence[str], decoded: DecodedFrames, max_bytes: int) -> None:
    """Write the decoded frames of the requests with these keys to an empty file; TooLargeError past `max_bytes`."""
    sizes, checksums, written = [], [], 0
    for packed in pack(decoded.frames):
        written += len(packed)
        if written > max_bytes:
            raise TooLargeError
        file.write(packed)
        sizes.append(len(packed))
        checksums.append(zlib.crc32(packed))
    views = {key: _plain(view) for key, view in zip(keys, decoded.views, strict=True)}
    shape, times_s = list(decoded.frames.shape), decoded.timestamps_s
    index = EntryIndex(shape, times_s, decoded.fps, decoded.packet_errors, views, sizes, checksums)
    data = json.dumps(vars(index)).encode()
    if written + len(data) + _TAIL.size > max_bytes:
        raise TooLargeError
    file.write(data + _TAIL.pack(len(data), zlib.crc32(data), _MAGIC))


def read_entry_index(file: IO[bytes]) -> EntryIndex:
    """Read an entry's index; DamagedEntryError if that is damaged."""
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
    file: IO[bytes], index: EntryIndex, keys: Sequence[str], path: str | Path, allocate: FrameAllocator
) -> DecodedFrames:
    """Read the frames of the requests with these keys, as `read_frames` would from the video at `path`.

    Raises:
        DamagedEntryError: a checksum is wrong, which is found before `allocate` is called, or unpacking fails.
        MediaError: none of these requests can be served.
    """
    views = [_view(path, index.views[key]) for key in keys]
    errors = [view for view in views if isinstance(view, MediaError)]
    if len(errors) == len(views):
        raise errors[0]
    wanted = sorted({position for view in views if isinstance(view, FrameSelection) for position in view.positions})
    for position, packed in zip(wanted, _packed_frames(file, index, wanted), strict=True):
        if zlib.crc32(packed) != index.checksums[position]:
            raise DamagedEntryError
    frames = allocate((len(wanted), *index.shape[1:]))
    try:
        unpack(_packed_frames(file, index, wanted), frames)  # a second read, from the page cache, saves 60 MB of memory
    except ValueError as error:
        raise DamagedEntryError from error
    new_position = {position: i for i, position in enumerate(wanted)}
    views = [
        view._replace(positions=[new_position[position] for position in view.positions])
        if isinstance(view, FrameSelection)
        else view
        for view in views
    ]
    return DecodedFrames(
        frames, [index.timestamps_s[position] for position in wanted], views, index.fps, index.packet_errors
    )


def _packed_frames(file: IO[bytes], index: EntryIndex, positions: Sequence[int]) -> Iterator[memoryview]:
    """Yield packed frames; all share one buffer, so each is valid until the next."""
    offsets = list(accumulate(index.sizes, initial=0))
    buffer = memoryview(bytearray(max(index.sizes)))
    for position in positions:
        file.seek(offsets[position])
        packed = buffer[: index.sizes[position]]
        if file.readinto(packed) != len(packed):  # type: ignore[attr-defined]
            raise DamagedEntryError
        yield packed


def _plain(view: FrameSelection | MediaError) -> dict[str, Any]:
    if isinstance(view, MediaError):
        return {"fault": view.fault.value, "detail": view.detail}
    return view._asdict() | {"duration_s": float(view.duration_s)}  # a requested end may be a NumPy number


def _view(path: str | Path, plain: dict[str, Any]) -> FrameSelection | MediaError:
    if "fault" not in plain:
        return FrameSelection(**plain)
    try:
        return MediaError(path, MediaFault(plain["fault"]), plain["detail"])
    except ValueError as error:
        raise DamagedEntryError from error  # written by a version with other fault names


_LEVEL = 1
# Frames whose rows are summed together; more of them no longer fit the cache.
_BATCH = 4


def pack(frames_THWC: np.ndarray) -> Iterator[bytes]:
    """Yield each uint8 frame of `(T, H, W, 3)` packed."""
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    residual_HWC = np.empty(frames_THWC.shape[1:], dtype=np.uint8)
    for frame_HWC in frames_THWC:
        residual_HWC[0] = frame_HWC[0]
        np.subtract(frame_HWC[1:], frame_HWC[:-1], out=residual_HWC[1:])  # uint8 wraps around, here and back
        residual_HWC[..., 0] -= residual_HWC[..., 1]
        residual_HWC[..., 2] -= residual_HWC[..., 1]
        yield compressor.compress(residual_HWC.data)


def unpack(packed: Iterable[bytes | memoryview], frames_THWC: np.ndarray) -> None:
    """Unpack frames into `frames_THWC` (uint8, C-contiguous); ValueError if the data is damaged or of another size."""
    decompressor = zstandard.ZstdDecompressor()
    start = 0
    for position, (data, frame_HWC) in enumerate(zip(packed, frames_THWC, strict=True)):
        try:
            with decompressor.stream_reader(data) as reader:
                fits = reader.readinto(frame_HWC) == frame_HWC.nbytes and not reader.read(1)
        except zstandard.ZstdError as error:
            raise ValueError(f"frame {position} is damaged: {error}") from error
        if not fits:
            raise ValueError(f"frame {position} does not unpack to {frame_HWC.nbytes} bytes")
        if position + 1 - start == _BATCH or position + 1 == len(frames_THWC):
            _sum_residuals(frames_THWC[start : position + 1])
            start = position + 1


def _sum_residuals(residuals_THWC: np.ndarray) -> None:
    """Turn residuals into frames in place."""
    for row in range(1, residuals_THWC.shape[1]):
        residuals_THWC[:, row] += residuals_THWC[:, row - 1]
    residuals_THWC[..., 0] += residuals_THWC[..., 1]
    residuals_THWC[..., 2] += residuals_THWC[..., 1]
