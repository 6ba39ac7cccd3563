"""Reading of one video under one frame rule: `read_video("talk.mp4", FrameRule(fps=1, max_frames=420))`."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from qsv_eval.model_adapters.errors import MediaError
from qsv_eval.model_adapters.frames.decode import Resize
from qsv_eval.model_adapters.frames.decoded_frames import ClipRequest, read_frames
from qsv_eval.model_adapters.frames.sampling import FrameRule

__all__ = ["DecodedClip", "read_video"]


class DecodedClip(NamedTuple):
    """Frames of a video or of a segment of it. Times are seconds from the first frame of the *file*."""

    frames: np.ndarray
    """uint8 `(T, H, W, 3)`, RGB, upright, T >= 1."""
    timestamps_s: list[float]
    """Presentation times of these frames in the file."""
    requested_s: list[float]
    """Times that the rule asked for."""
    duration_s: float
    """End of the video, or of the requested segment if that is earlier."""
    fps: float
    """The container's frame rate."""
    packet_errors: int
    """Number of damaged packets that the decoder refused."""

    @property
    def shortfall(self) -> int:
        """Number of frames asked for and not returned: damaged, or the same frame twice."""
        return len(self.requested_s) - len(self.timestamps_s)


def read_video(
    path: str | Path,
    rule: FrameRule,
    size: tuple[int, int] = (384, 384),
    start_s: float | None = None,
    end_s: float | None = None,
    resize: Resize = "exact",
) -> DecodedClip:
    """Read the frames of `rule` from the file, or from its segment from `start_s` to `end_s`.

    `size` is (height, width). A segment may reach past the end of the file, as annotations often do. Raises MediaError
    if no frame can be read. The file is opened and closed within the call, so this is safe in a worker process.
    """
    decoded = read_frames(path, [ClipRequest(rule, start_s, end_s)], size, resize)
    view = decoded.views[0]
    if isinstance(view, MediaError):
        raise view
    # The only request has all frames, so selecting them, which copies, is not needed.
    return DecodedClip(
        frames=decoded.frames,
        timestamps_s=decoded.timestamps_s,
        requested_s=view.requested_s,
        duration_s=view.duration_s,
        fps=decoded.fps,
        packet_errors=decoded.packet_errors,
    )
