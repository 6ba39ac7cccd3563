"""What a video's header says of its length and size: enough to guess what reading it will cost, in a few milliseconds.

Headers may be wrong (a cut file still states its whole length), so nothing is read by these figures.
"""

from pathlib import Path
from typing import NamedTuple

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from qsv_eval.model_adapters.frames.scan import declared_rate, open_video, scan_video, video_stream

__all__ = ["VideoFacts", "probe_video"]


class VideoFacts(NamedTuple):
    """A video's length and size, as its header has them."""

    duration_s: float
    fps: float
    frame_count: int
    """As stated, or else `duration_s` times `fps`."""
    width: int
    """Of the pictures as stored: before a rotation on screen."""
    height: int


def probe_video(path: str | Path) -> VideoFacts:
    """Look at a video's header; demux its packets only if that does not say how long it is.

    Raises MediaError if the file cannot be opened or has no video.
    """
    with open_video(path) as container:
        stream = video_stream(container, path)
        width, height = stream.codec_context.width, stream.codec_context.height
        rate, duration_s = declared_rate(stream), _stated_duration_s(container, stream)
        if rate and duration_s > 0:
            count = stream.frames or max(round(duration_s * rate), 1)
            return VideoFacts(duration_s, float(rate), count, width, height)
    scan = scan_video(path)
    return VideoFacts(scan.duration_s, scan.fps, len(scan.pts), width, height)


def _stated_duration_s(container: InputContainer, stream: VideoStream) -> float:
    """Return seconds by the stream's header, or else the file's; 0 if neither says."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base
