"""Read the frames that a rule wants from a video file: scan its packets, plan the instants, decode only what it takes.

    clip = read_video("talk.mp4", FrameRule(fps=1, max_frames=420))

Time decides which frame is read, never its number: by number, a video with a variable frame rate is off by up to 54
frames. For a constant rate, both give the same frame. What cannot be decoded is reported, never replaced.
"""

from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np

from qsv_eval.model_adapters.errors import MediaError, MediaFault, SetupError
from qsv_eval.model_adapters.frames.decode import FrameDecoder
from qsv_eval.model_adapters.frames.pixels import PixelConverter, Resize
from qsv_eval.model_adapters.frames.rule import FrameRule
from qsv_eval.model_adapters.frames.scan import Scan, open_video, scan_video

__all__ = ["Clip", "read_video"]


class Clip(NamedTuple):
    """Frames of one video or of a segment of it. All times count from the first frame of the *file*."""

    frames: np.ndarray
    """uint8 `(T, H, W, 3)`, RGB, upright, T >= 1."""
    timestamps_s: list[float]
    """Presentation times of these frames, as the file has them."""
    requested_s: list[float]
    """The instants that the rule asked for."""
    duration_s: float
    """End of the video, or of the asked segment if that is earlier."""
    fps: float
    """The container's frame rate."""
    packet_errors: int
    """How many damaged packets the decoder refused on the way."""

    @property
    def shortfall(self) -> int:
        """Frames asked for and not obtained: lost to damage, or the same frame asked for twice."""
        return len(self.requested_s) - len(self.timestamps_s)


def read_video(
    path: str | Path,
    rule: FrameRule,
    size: tuple[int, int] = (384, 384),
    start_s: float | None = None,
    end_s: float | None = None,
    resize: Resize = "exact",
) -> Clip:
    """Read the frames that `rule` wants from the file, or from the segment from `start_s` to `end_s`.

    `size` is (height, width). A segment may reach over the end of the file, as annotations often do. Raises
    MediaError if there is no frame to give. The file is opened and closed within the call, so this can run in a
    worker process, forked or not.
    """
    if resize not in get_args(Resize):
        raise SetupError(f"resize = {resize!r} is unknown: use one of {', '.join(get_args(Resize))}")
    scan = scan_video(path)
    requested_s = _instants(path, scan, rule, start_s, end_s)
    nearest = {scan.nearest(instant_s) for instant_s in requested_s}
    wanted_pts = sorted(pts for pts in nearest if pts is not None)
    frames, obtained_pts, packet_errors = _decode(path, scan, wanted_pts, PixelConverter(size, resize), size)
    if not obtained_pts:
        fault = MediaFault.UNDECODABLE if packet_errors else MediaFault.TRUNCATED
        raise MediaError(path, fault, f"none of the {len(requested_s)} wanted frames could be decoded")
    return Clip(
        frames=frames,
        timestamps_s=[scan.seconds(pts) for pts in obtained_pts],
        requested_s=requested_s,
        duration_s=scan.duration_s if end_s is None else min(end_s, scan.duration_s),
        fps=scan.fps,
        packet_errors=packet_errors,
    )


def _instants(path: str | Path, scan: Scan, rule: FrameRule, start_s: float | None, end_s: float | None) -> list[float]:
    begin_s = start_s or 0.0
    if not 0 <= begin_s < scan.duration_s or (end_s is not None and not end_s > begin_s):
        detail = f"{begin_s} s to {'the end' if end_s is None else f'{end_s} s'} of {scan.duration_s:.2f} s"
        raise MediaError(path, MediaFault.OUT_OF_RANGE, detail)
    if end_s is not None and end_s > scan.duration_s:
        end_s = None  # The reference would spread the frames over time that the file does not have.
    return rule.instants(scan.fps, scan.frame_count, start_s, end_s)


class _Decoded(NamedTuple):
    frames: np.ndarray
    pts: list[int]
    packet_errors: int


def _decode(
    path: str | Path, scan: Scan, wanted_pts: list[int], convert: PixelConverter, size: tuple[int, int]
) -> _Decoded:
    # One array from the start: stacking a list holds every frame twice (420 frames at 384 x 384 are 186 MB).
    frames_THWC = np.empty((len(wanted_pts), *size, 3), dtype=np.uint8)
    obtained_pts: list[int] = []
    with open_video(path) as container:
        decoder = FrameDecoder(container, scan)
        for pts, frame in decoder.frames(wanted_pts):
            frames_THWC[len(obtained_pts)] = convert(frame)
            obtained_pts.append(pts)
    return _Decoded(frames_THWC[: len(obtained_pts)], obtained_pts, decoder.packet_errors)
