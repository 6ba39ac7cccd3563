"""Read the frames that one rule wants from a video file.

    clip = read_video("talk.mp4", FrameRule(fps=1, max_frames=420))

One request to `read_frames`, which says what is read and how.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from qsv_eval.model_adapters.errors import MediaError
from qsv_eval.model_adapters.frames.decode import Resize
from qsv_eval.model_adapters.frames.decoded_frames import ClipRequest, read_frames
from qsv_eval.model_adapters.frames.sampling import FrameRule

__all__ = ["DecodedClip", "read_video"]


class DecodedClip(NamedTuple):
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
    """Number of damaged packets that the decoder refused."""

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
) -> DecodedClip:
    """Read the frames that `rule` wants from the file, or from the segment from `start_s` to `end_s`.

    `size` is (height, width). A segment may reach over the end of the file, as annotations often do. Raises
    MediaError if there is no frame to give. The file is opened and closed within the call, so this can run in a
    worker process, forked or not.
    """
    footage = read_frames(path, [ClipRequest(rule, start_s, end_s)], size, resize)
    view = footage.views[0]
    if isinstance(view, MediaError):
        raise view
    # The only request sees all frames, so they need no picking, which would copy them.
    return DecodedClip(
        frames=footage.frames,
        timestamps_s=footage.timestamps_s,
        requested_s=view.requested_s,
        duration_s=view.duration_s,
        fps=footage.fps,
        packet_errors=footage.packet_errors,
    )
