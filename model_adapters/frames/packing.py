"""Frames as fewer bytes and back, bit for bit, each frame by itself.

Green is taken out of red and blue, and from each row the row above; the rest goes through zstd at its fastest level.
Of all that was tried (benchmarks/frame_store.py) this is back the soonest, in about a millisecond for 384 x 384, at a
third of the bytes. What packs a tenth to a third better takes two to ten times as long to unpack, or longer to pack
than decoding takes. The frame before does not help: a second of film lies between them.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import zstandard

__all__ = ["pack", "unpack"]

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
