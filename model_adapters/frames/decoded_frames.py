"""Reading of the frames of several requests on one video, each frame once: index packets, select frames, decode.

Frames are selected by time, not by index: with a variable frame rate, an index is off by up to 54 frames; with a
constant rate both select the same frame. Frames that cannot be decoded are reported, never replaced.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np

from qsv_eval.model_adapters.errors import MediaError, MediaFault, SetupError
from qsv_eval.model_adapters.frames.decode import FrameDecoder, PixelConverter, Resize
from qsv_eval.model_adapters.frames.packet_index import PacketIndex, index_packets, open_video
from qsv_eval.model_adapters.frames.sampling import FrameRule
from qsv_eval.model_adapters.plurals import counted

__all__ = ["ClipRequest", "DecodedFrames", "FrameAllocator", "FrameSelection", "allocate_array", "read_frames"]

FrameAllocator = Callable[[tuple[int, ...]], np.ndarray]
"""Function that returns a uint8, C-contiguous array of a shape, for instance in shared memory."""


class ClipRequest(NamedTuple):
    """Frame rule for a file, or for its segment from `start_s` to `end_s`."""

    rule: FrameRule
    start_s: float | None = None
    end_s: float | None = None


class FrameSelection(NamedTuple):
    """Frames of one request among the decoded frames."""

    positions: list[int]
    """Indices in `DecodedFrames.frames`, ascending, at least one."""
    requested_s: list[float]
    """Times that the rule asked for."""
    duration_s: float
    """End of the video, or of the requested segment if that is earlier."""

    @property
    def shortfall(self) -> int:
        """Number of frames asked for and not returned: damaged, or the same frame twice."""
        return len(self.requested_s) - len(self.positions)


class DecodedFrames(NamedTuple):
    """Frames of one file for all requests on it. Times are seconds from the first frame of the file."""

    frames: np.ndarray
    """uint8 `(T, H, W, 3)`, RGB, upright, T >= 1: the union over the requests, ascending in time."""
    timestamps_s: list[float]
    """Presentation times of these frames in the file."""
    views: list[FrameSelection | MediaError]
    """One for each request, in order; a request that cannot be served has an error."""
    fps: float
    """The container's frame rate."""
    packet_errors: int
    """Number of damaged packets that the decoder refused."""


def allocate_array(shape: tuple[int, ...]) -> np.ndarray:
    """Return a new array in this process's memory."""
    return np.empty(shape, dtype=np.uint8)


def read_frames(
    path: str | Path,
    requests: Sequence[ClipRequest],
    size: tuple[int, int] = (384, 384),
    resize: Resize = "exact",
    allocate: FrameAllocator = allocate_array,
) -> DecodedFrames:
    """Read the frames of all requests in one pass over the file.

    `size` is (height, width). Each frame is byte for byte the same as if its request were read alone (except near
    damaged packets). `allocate` is called once, and frames are written straight into its array. Raises MediaError if
    the file cannot be opened or no request can be served; the error of a single request is in `views`. The file is
    opened and closed within the call, so this is safe in a worker process.
    """
    if resize not in get_args(Resize):
        raise SetupError(f"resize = {resize!r} is unknown: use one of {', '.join(get_args(Resize))}")
    if not requests:
        raise ValueError("no requests: pass at least one ClipRequest")
    index = index_packets(path)
    selections = [_select(path, index, request) for request in requests]
    wanted_pts = sorted(
        {pts for wanted in selections if isinstance(wanted, _WantedFrames) for pts in wanted.wanted_pts}
    )
    frames, decoded_pts, packet_errors = _decode(path, index, wanted_pts, PixelConverter(size, resize), allocate)
    positions = {pts: position for position, pts in enumerate(decoded_pts)}
    views = [_view(path, wanted, positions, packet_errors) for wanted in selections]
    if not any(isinstance(view, FrameSelection) for view in views):
        raise next(view for view in views if isinstance(view, MediaError))
    return DecodedFrames(frames, [index.seconds(pts) for pts in decoded_pts], views, index.fps, packet_errors)


class _WantedFrames(NamedTuple):
    """Frames that one request selects in a file."""

    requested_s: list[float]
    wanted_pts: set[int]
    duration_s: float


def _select(path: str | Path, index: PacketIndex, request: ClipRequest) -> _WantedFrames | MediaError:
    begin_s, end_s = request.start_s or 0.0, request.end_s
    if not 0 <= begin_s < index.duration_s or (end_s is not None and not end_s > begin_s):
        detail = f"{begin_s} s to {'the end' if end_s is None else f'{end_s} s'} of {index.duration_s:.2f} s"
        return MediaError(path, MediaFault.OUT_OF_RANGE, detail)
    if end_s is not None and end_s > index.duration_s:
        end_s = None  # The reference would spread the frames past the end of the file.
    requested_s = request.rule.instants(index.fps, index.frame_count, request.start_s, end_s)
    nearest = {index.nearest_pts(time_s) for time_s in requested_s}
    duration_s = index.duration_s if end_s is None else end_s
    return _WantedFrames(requested_s, {pts for pts in nearest if pts is not None}, duration_s)


def _view(
    path: str | Path, wanted: _WantedFrames | MediaError, positions: dict[int, int], packet_errors: int
) -> FrameSelection | MediaError:
    if isinstance(wanted, MediaError):
        return wanted
    selected = sorted(positions[pts] for pts in wanted.wanted_pts if pts in positions)
    if not selected:
        fault = MediaFault.UNDECODABLE if packet_errors else MediaFault.TRUNCATED
        return MediaError(
            path, fault, f"none of the {counted(len(wanted.requested_s), 'wanted frame')} could be decoded"
        )
    return FrameSelection(selected, wanted.requested_s, wanted.duration_s)


class _DecodedRun(NamedTuple):
    frames: np.ndarray
    pts: list[int]
    packet_errors: int


def _decode(
    path: str | Path, index: PacketIndex, wanted_pts: list[int], convert: PixelConverter, allocate: FrameAllocator
) -> _DecodedRun:
    if not wanted_pts:  # a mapping cannot be empty
        return _DecodedRun(allocate_array((0, *convert.shape)), [], 0)
    # One array from the start: stacking a list holds every frame twice (420 frames at 384 x 384 are 186 MB).
    frames_THWC = allocate((len(wanted_pts), *convert.shape))
    decoded_pts: list[int] = []
    with open_video(path) as container:
        decoder = FrameDecoder(container, index)
        for pts, frame in decoder.frames(wanted_pts):
            frames_THWC[len(decoded_pts)] = convert(frame)
            decoded_pts.append(pts)
    return _DecodedRun(frames_THWC[: len(decoded_pts)], decoded_pts, decoder.packet_errors)
