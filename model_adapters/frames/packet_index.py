"""Packet index of a video (the frames listed by demuxing, without decoding) and length and size from its header.

The index gives the presentation times that exist, so frames are chosen exactly and seeking needs no guess. It costs
about 10 microseconds a packet. The header costs milliseconds, but may be wrong, so it serves cost estimates only.
"""

import itertools
import math
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from qsv_eval.model_adapters.errors import MediaError, MediaFault
from qsv_eval.model_adapters.frames.content_id import size_bytes

__all__ = [
    *("PacketIndex", "SeekMode", "VideoInfo", "declared_rate", "demux", "index_packets", "open_video", "probe_video"),
    "video_stream",
]

_SEEKABLE_FORMATS = {"mov", "mp4", "matroska", "webm"}
# AVI stores decode order only, which FFmpeg reports as presentation times: with B-frames they are permuted. MPEG
# program streams time only some packets, and FFmpeg's guesses for the others may collide.
_UNTIMED_FORMATS = {"avi", "mpeg"}
# Header durations are rounded and audio may outlast its last packet; a truncated file lacks more than this.
_TRUNCATION_TOLERANCE_S = 1.0


class SeekMode(Enum):
    """Access method for the frames of a file."""

    SEEK = auto()
    """Presentation times and the keyframe index are reliable (mp4, mov, mkv, webm)."""
    STREAM = auto()
    """Presentation times are reliable, seeking is not (transport streams, GIF, unknown formats)."""
    COUNT = auto()
    """Neither is reliable: the n-th decoded frame is the n-th in the index (AVI, MPEG streams other than TS)."""


@dataclass(frozen=True)
class PacketIndex:
    """Frames of a file's video stream in presentation order; `pts` are in units of `time_base`."""

    stream_index: int
    seek_mode: SeekMode
    fps: float
    """The container's rate, as OpenCV reports it."""
    time_base: Fraction
    pts: list[int]
    """Distinct presentation times of all frames that a full decode shows; seconds count from the first."""
    keyframe_pts: list[int]
    """Presentation times of keyframes, including those that an edit list hides."""
    duration_s: float
    """Time from the first frame to the end of the last; by the header if the file is truncated."""
    frame_count: int
    """Number of frames at `fps` from the first to the last; the packet count if the rate is constant."""

    def seconds(self, pts: int) -> float:
        """Return the time after the first frame in seconds."""
        return float((pts - self.pts[0]) * self.time_base)

    def nearest_pts(self, time_s: float) -> int | None:
        """Return the presentation time nearest to a time in seconds; None past the file's last frame."""
        target = self.pts[0] + time_s / float(self.time_base)
        half_frame = 0.5 / self.fps / float(self.time_base)
        if target > self.pts[-1] + half_frame:
            return None
        right = min(bisect_left(self.pts, target), len(self.pts) - 1)
        left = max(right - 1, 0)
        return min(self.pts[left], self.pts[right], key=lambda pts: abs(pts - target))

    def keyframe_before(self, pts: int) -> int:
        """Return the index in `keyframe_pts` of the last keyframe at or before `pts`; 0 if there is none."""
        return max(bisect_right(self.keyframe_pts, pts) - 1, 0)


@contextmanager
def open_video(path: str | Path) -> Iterator[InputContainer]:
    """Open a local video; raises MediaError with the reason if that fails."""
    size_bytes(path)
    try:
        # "file:" keeps FFmpeg from reading "name:rest" as a network protocol. Tags in old encodings, common in
        # downloaded clips, must not fail the file (PyAV decodes them strictly by default).
        container = av.open(f"file:{path}", metadata_errors="ignore")
    except av.error.FFmpegError as error:
        if _begins_like_mp4(path):
            detail = "an mp4 without its index (moov), as an interrupted download leaves it"
            raise MediaError(path, MediaFault.TRUNCATED, detail) from error
        raise MediaError(path, MediaFault.UNDECODABLE, str(error.strerror)) from error
    with container:
        yield container


def index_packets(path: str | Path) -> PacketIndex:
    """Index the frames of the file's first video stream; raises MediaError if there are none."""
    with open_video(path) as container:
        stream = video_stream(container, path)
        packets, packets_end_s = _list_packets(container, stream)
        return _build_index(path, container, stream, packets, packets_end_s)


def demux(container: InputContainer, *streams: Stream) -> Iterator[Packet]:
    """Yield the packets of these streams from the current position to the end, then an empty one for each."""
    while True:
        try:
            yield from container.demux(*streams)
            return
        except IndexError:
            # A damaged transport stream can announce a new stream in the middle, for whose first packet PyAV (14 to
            # 16) finds no object. That packet is consumed, so demuxing again continues after it.
            continue


def _begins_like_mp4(path: str | Path) -> bool:
    with Path(path).open("rb") as file:
        return file.read(8)[4:] == b"ftyp"


def video_stream(container: InputContainer, path: str | Path) -> VideoStream:
    """Return the first video stream that is not a cover image, which OpenCV, hence the reference, reads."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise MediaError(path, MediaFault.UNDECODABLE, "FFmpeg has no decoder for its video")
            return stream
    raise MediaError(path, MediaFault.NO_VIDEO)


_PacketEntry = tuple[int | None, int, bool, bool]
"""Video packet with content: pts, duration, is_keyframe, is_discard. A tuple, because an hour has 100,000 of them.

Only elementary streams have no pts.
"""


def _list_packets(container: InputContainer, stream: VideoStream) -> tuple[list[_PacketEntry], float]:
    """Return the stream's packets in file order, and the latest end of any stream's packets in seconds."""
    packets: list[_PacketEntry] = []
    append, video_index = packets.append, stream.index
    ends: dict[int, int] = {}  # by stream, in its time base: a Fraction for each packet takes as long as demuxing
    try:
        for packet in demux(container, *container.streams):
            pts, duration, index = packet.pts, packet.duration or 0, packet.stream_index
            if index == video_index:
                if packet.size:
                    append((pts, duration, packet.is_keyframe, packet.is_discard))
            elif pts is not None and pts + duration > ends.get(index, -math.inf):
                ends[index] = pts + duration
    except av.error.FFmpegError:
        # A damaged file: the rest cannot be read, and the header tells how long it is.
        pass
    video_ends = [pts + duration for pts, duration, _, _ in packets if pts is not None]
    if video_ends:
        ends[video_index] = max(video_ends)
    ends_s = (float(end * base) for index, end in ends.items() if (base := container.streams[index].time_base))
    return packets, max(ends_s, default=-math.inf)


def _build_index(
    path: str | Path, container: InputContainer, stream: VideoStream, packets: list[_PacketEntry], packets_end_s: float
) -> PacketIndex:
    seek_mode = _seek_mode(container.format.name, packets)
    time_base = stream.time_base
    if time_base is None or (seek_mode is SeekMode.COUNT and not _pts_are_unique(packets)):
        packets = [(i, 1, is_key, is_discard) for i, (_, _, is_key, is_discard) in enumerate(packets)]
        time_base = 1 / (declared_rate(stream) or Fraction(25))  # 25 is FFmpeg's own guess for elementary streams
    keyframe_pts = sorted({pts for pts, _, is_keyframe, _ in packets if is_keyframe and pts is not None})
    shown = {pts: duration for pts, duration, _, is_discard in packets if pts is not None and not is_discard}
    pts = sorted(shown)
    if seek_mode is not SeekMode.COUNT and keyframe_pts:
        # A recording may begin between keyframes; decoders show nothing before the first.
        pts = [time for time in pts if time >= keyframe_pts[0]]
    if not pts:
        raise MediaError(path, MediaFault.TRUNCATED, "the headers are there, but no frame follows them")
    fps = float(declared_rate(stream) or _measured_rate(pts, time_base))
    span_s = float((pts[-1] - pts[0]) * time_base)
    frame_count = round(span_s * fps) + 1
    duration_s = span_s + (float(shown[pts[-1]] * time_base) or 1 / fps)
    declared_end_s = _declared_end_s(container)
    if declared_end_s - packets_end_s > _TRUNCATION_TOLERANCE_S:
        duration_s = declared_end_s - float(pts[0] * time_base)
        frame_count = round(duration_s * fps)
    return PacketIndex(stream.index, seek_mode, fps, time_base, pts, keyframe_pts, duration_s, frame_count)


def _seek_mode(format_names: str, packets: list[_PacketEntry]) -> SeekMode:
    names = set(format_names.split(","))
    if names & _UNTIMED_FORMATS or all(pts is None for pts, *_ in packets):
        return SeekMode.COUNT
    return SeekMode.SEEK if names & _SEEKABLE_FORMATS else SeekMode.STREAM


def _pts_are_unique(packets: list[_PacketEntry]) -> bool:
    times = {pts for pts, *_ in packets}
    return None not in times and len(times) == len(packets)


def declared_rate(stream: VideoStream) -> Fraction | None:
    """Return FFmpeg's guess of the frame rate, which OpenCV reports, or else another rate that the file states."""
    return stream.guessed_rate or stream.average_rate or stream.base_rate


def _measured_rate(pts: list[int], time_base: Fraction) -> Fraction:
    gaps = [later - earlier for earlier, later in itertools.pairwise(pts)]
    return 1 / (Fraction(statistics.median(gaps)) * time_base) if gaps else Fraction(1)


def _declared_end_s(container: InputContainer) -> float:
    """Return the end of the file by its header, in seconds; -inf if the header has none."""
    if container.duration is None:
        return -math.inf
    return ((container.start_time or 0) + container.duration) / av.time_base


class VideoInfo(NamedTuple):
    """Length and size of a video by its header."""

    duration_s: float
    fps: float
    frame_count: int
    """Number of frames; `duration_s` times `fps` if the header has none."""
    width: int
    """Height in pixels as stored, before any rotation, like `width`."""
    height: int


def probe_video(path: str | Path) -> VideoInfo:
    """Return a video's length and size from its header, or from its packets if the header has no duration.

    Raises MediaError if the file cannot be opened or has no video.
    """
    with open_video(path) as container:
        stream = video_stream(container, path)
        width, height = stream.codec_context.width, stream.codec_context.height
        rate, duration_s = declared_rate(stream), _header_duration_s(container, stream)
        if rate and duration_s > 0:
            count = stream.frames or max(round(duration_s * rate), 1)
            return VideoInfo(duration_s, float(rate), count, width, height)
    index = index_packets(path)
    return VideoInfo(index.duration_s, index.fps, len(index.pts), width, height)


def _header_duration_s(container: InputContainer, stream: VideoStream) -> float:
    """Return the duration by the stream's header, else by the file's, in seconds; 0 if neither has it."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base
