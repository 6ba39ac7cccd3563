"""Read the frames of several requests on one video file, each frame once: scan, plan, decode.

Several questions often stand on one video, and their frames overlap or are the same. Time decides which frame is read,
never its number: by number, a video with a variable frame rate is off by up to 54 frames. For a constant rate, both
give the same frame. What cannot be decoded is reported, never replaced.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np

from qsv_eval.model_adapters.errors import MediaError, MediaFault, SetupError
from qsv_eval.model_adapters.frames.decode import FrameDecoder, PixelConverter, Resize
from qsv_eval.model_adapters.frames.packet_index import PacketIndex, index_packets, open_video
from qsv_eval.model_adapters.frames.sampling import FrameRule

__all__ = ["Allocate", "ClipRequest", "DecodedFrames", "FrameSelection", "empty_frames", "read_frames"]

Allocate = Callable[[tuple[int, ...]], np.ndarray]
"""Gives room for frames of a shape: uint8, C-contiguous, for instance in shared memory."""


class ClipRequest(NamedTuple):
    """The frames that a rule wants from a file, or from the segment from `start_s` to `end_s`."""

    rule: FrameRule
    start_s: float | None = None
    end_s: float | None = None


class FrameSelection(NamedTuple):
    """Frames of a file that one request selects."""

    positions: list[int]
    """Places in `DecodedFrames.frames`, ascending, at least one."""
    requested_s: list[float]
    """The instants that the rule asked for."""
    duration_s: float
    """End of the video, or of the asked segment if that is earlier."""

    @property
    def shortfall(self) -> int:
        """Frames asked for and not obtained: lost to damage, or the same frame asked for twice."""
        return len(self.requested_s) - len(self.positions)


class DecodedFrames(NamedTuple):
    """Frames of one file, each read once for all requests on it. Times count from the first frame of the file."""

    frames: np.ndarray
    """uint8 `(T, H, W, 3)`, RGB, upright, T >= 1: the union over the requests, ascending in time."""
    timestamps_s: list[float]
    """Presentation times of these frames, as the file has them."""
    views: list[FrameSelection | MediaError]
    """One for each request, in order; a request that cannot be served has its own error."""
    fps: float
    """The container's frame rate."""
    packet_errors: int
    """Number of damaged packets that the decoder refused."""


def empty_frames(shape: tuple[int, ...]) -> np.ndarray:
    """Give room in this process's own memory."""
    return np.empty(shape, dtype=np.uint8)


def read_frames(
    path: str | Path,
    requests: Sequence[ClipRequest],
    size: tuple[int, int] = (384, 384),
    resize: Resize = "exact",
    allocate: Allocate = empty_frames,
) -> DecodedFrames:
    """Read the frames of all requests in one pass over the file.

    `size` is (height, width). Each frame is byte for byte what reading its request alone gives (only what a decoder
    makes of damaged packets may depend on what else is read). `allocate` is called once, when it is known how many
    frames are wanted, and the frames are written straight into its room. Raises MediaError if the file cannot be
    opened or no request can be served; one request's own trouble is in `views`. The file is opened and closed within
    the call, so this can run in a worker process, forked or not.
    """
    if resize not in get_args(Resize):
        raise SetupError(f"resize = {resize!r} is unknown: use one of {', '.join(get_args(Resize))}")
    if not requests:
        raise ValueError("no requests, so there is nothing to read")
    scan = index_packets(path)
    plans = [_plan(path, scan, request) for request in requests]
    wanted_pts = sorted({pts for plan in plans if isinstance(plan, _Plan) for pts in plan.wanted_pts})
    frames, obtained_pts, packet_errors = _decode(path, scan, wanted_pts, PixelConverter(size, resize), allocate)
    place = {pts: position for position, pts in enumerate(obtained_pts)}
    views = [_view(path, plan, place, packet_errors) for plan in plans]
    if not any(isinstance(view, FrameSelection) for view in views):
        raise next(view for view in views if isinstance(view, MediaError))
    return DecodedFrames(frames, [scan.seconds(pts) for pts in obtained_pts], views, scan.fps, packet_errors)


class _Plan(NamedTuple):
    """Frames that one request wants from a file."""

    requested_s: list[float]
    wanted_pts: set[int]
    duration_s: float


def _plan(path: str | Path, scan: PacketIndex, request: ClipRequest) -> _Plan | MediaError:
    begin_s, end_s = request.start_s or 0.0, request.end_s
    if not 0 <= begin_s < scan.duration_s or (end_s is not None and not end_s > begin_s):
        detail = f"{begin_s} s to {'the end' if end_s is None else f'{end_s} s'} of {scan.duration_s:.2f} s"
        return MediaError(path, MediaFault.OUT_OF_RANGE, detail)
    if end_s is not None and end_s > scan.duration_s:
        end_s = None  # The reference would spread the frames over time that the file does not have.
    requested_s = request.rule.instants(scan.fps, scan.frame_count, request.start_s, end_s)
    nearest = {scan.nearest(instant_s) for instant_s in requested_s}
    duration_s = scan.duration_s if end_s is None else end_s
    return _Plan(requested_s, {pts for pts in nearest if pts is not None}, duration_s)


def _view(
    path: str | Path, plan: _Plan | MediaError, place: dict[int, int], packet_errors: int
) -> FrameSelection | MediaError:
    if isinstance(plan, MediaError):
        return plan
    positions = sorted(place[pts] for pts in plan.wanted_pts if pts in place)
    if not positions:
        fault = MediaFault.UNDECODABLE if packet_errors else MediaFault.TRUNCATED
        return MediaError(path, fault, f"none of the {len(plan.requested_s)} wanted frames could be decoded")
    return FrameSelection(positions, plan.requested_s, plan.duration_s)


class _DecodedRun(NamedTuple):
    frames: np.ndarray
    pts: list[int]
    packet_errors: int


def _decode(
    path: str | Path, scan: PacketIndex, wanted_pts: list[int], convert: PixelConverter, allocate: Allocate
) -> _DecodedRun:
    if not wanted_pts:  # shared memory cannot be empty
        return _DecodedRun(empty_frames((0, *convert.shape)), [], 0)
    # One array from the start: stacking a list holds every frame twice (420 frames at 384 x 384 are 186 MB).
    frames_THWC = allocate((len(wanted_pts), *convert.shape))
    obtained_pts: list[int] = []
    with open_video(path) as container:
        decoder = FrameDecoder(container, scan)
        for pts, frame in decoder.frames(wanted_pts):
            frames_THWC[len(obtained_pts)] = convert(frame)
            obtained_pts.append(pts)
    return _DecodedRun(frames_THWC[: len(obtained_pts)], obtained_pts, decoder.packet_errors)
