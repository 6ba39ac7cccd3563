"""First of the reader's three steps: list a video's frames by demuxing its packets, with nothing decoded.

The list is what makes the other two steps exact: wanted instants become presentation times that do exist (plan), and
seeking needs no guess (decode). It costs about 10 microseconds a packet.

`probe_video` reads the header alone, in a few milliseconds: enough to estimate what a read will cost. Headers may be
wrong (a cut file still states its whole length), so no read relies on these figures.
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
    "PacketIndex",
    "SeekMode",
    "VideoInfo",
    "declared_rate",
    "demux",
    "index_packets",
    "open_video",
    "probe_video",
    "video_stream",
]


_SEEKABLE_FORMATS = {"mov", "mp4", "matroska", "webm"}
# AVI stores decode order only, and FFmpeg hands it out as presentation times: with B-frames they are permuted.
# MPEG program streams time only some packets, and FFmpeg's guesses for the others sometimes collide.
_UNTIMED_FORMATS = {"avi", "mpeg"}
# Header durations are rounded and audio may outlast its last packet; a cut file lacks more than this.
_TRUNCATION_TOLERANCE_S = 1.0


class SeekMode(Enum):
    """Ways to reach and to recognise the frames of a file."""

    SEEK = auto()
    """Presentation times and an index of keyframes can be trusted (mp4, mov, mkv, webm)."""
    STREAM = auto()
    """Presentation times can be trusted, seeking cannot (transport streams, GIF, anything unknown)."""
    COUNT = auto()
    """Neither: the n-th frame decoded is the n-th listed (AVI, MPEG program and elementary streams)."""


@dataclass(frozen=True)
class PacketIndex:
    """Facts of a file's video packets, in presentation order. `pts` are in units of `time_base`."""

    stream_index: int
    access: SeekMode
    fps: float
    """The container's rate, as OpenCV reports it."""
    time_base: Fraction
    pts: list[int]
    """Distinct presentation times of all frames that a full decode shows; the first is the clip's zero."""
    keyframe_pts: list[int]
    """Keyframes, including those that an edit list hides but that decoding can start from."""
    duration_s: float
    """Seconds from the first frame to the end of the last; the header's figure if the file was cut short."""
    frame_count: int
    """Frames at `fps` from the first to the last: the packet count of any file with a constant rate."""

    def seconds(self, pts: int) -> float:
        """Return seconds after the clip's first frame."""
        return float((pts - self.pts[0]) * self.time_base)

    def nearest(self, instant_s: float) -> int | None:
        """Return the presentation time nearest to an instant, or None past the end of what the file holds."""
        target = self.pts[0] + instant_s / float(self.time_base)
        half_frame = 0.5 / self.fps / float(self.time_base)
        if target > self.pts[-1] + half_frame:
            return None
        right = min(bisect_left(self.pts, target), len(self.pts) - 1)
        left = max(right - 1, 0)
        return min(self.pts[left], self.pts[right], key=lambda pts: abs(pts - target))

    def keyframe_before(self, pts: int) -> int:
        """Return the position in `keyframe_pts` of the last keyframe at or before a time; 0 if there is none."""
        return max(bisect_right(self.keyframe_pts, pts) - 1, 0)


@contextmanager
def open_video(path: str | Path) -> Iterator[InputContainer]:
    """Open a local video; MediaError says why it cannot be opened."""
    size_bytes(path)
    try:
        # "file:" keeps FFmpeg from reading "name:rest" as a network protocol. Tags in old encodings are common in
        # downloaded clips and must not fail the file (PyAV decodes them strictly by default).
        container = av.open(f"file:{path}", metadata_errors="ignore")
    except av.error.FFmpegError as error:
        if _begins_like_mp4(path):
            detail = "an mp4 without its index (moov), as an interrupted download leaves it"
            raise MediaError(path, MediaFault.TRUNCATED, detail) from error
        raise MediaError(path, MediaFault.UNDECODABLE, str(error.strerror)) from error
    with container:
        yield container


def index_packets(path: str | Path) -> PacketIndex:
    """List the frames of the file's first video stream; MediaError if there is none to list."""
    with open_video(path) as container:
        stream = video_stream(container, path)
        packets, seen_end_s = _demux(container, stream)
        return _summarise(path, container, stream, packets, seen_end_s)


def demux(container: InputContainer, *streams: Stream) -> Iterator[Packet]:
    """Yield the packets of these streams from here to the end, and last an empty one for each."""
    while True:
        try:
            yield from container.demux(*streams)
            return
        except IndexError:
            # A damaged transport stream can announce a new stream in the middle, for whose first packet PyAV (14 to
            # 16) finds no object. That packet has been read, so a new start goes on behind it and leaves it out.
            continue


def _begins_like_mp4(path: str | Path) -> bool:
    with Path(path).open("rb") as file:
        return file.read(8)[4:] == b"ftyp"


def video_stream(container: InputContainer, path: str | Path) -> VideoStream:
    """Return the first video stream that is no cover picture: the one that OpenCV, hence the reference, reads."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise MediaError(path, MediaFault.UNDECODABLE, "FFmpeg has no decoder for its video")
            return stream
    raise MediaError(path, MediaFault.NO_VIDEO)


_Listed = tuple[int | None, int, bool, bool]
"""A video packet with content: pts, duration, whether it is a keyframe, whether it is to be discarded.

Only elementary streams have no pts at all. A plain tuple, because an hour has 100,000 of them.
"""


def _demux(container: InputContainer, stream: VideoStream) -> tuple[list[_Listed], float]:
    """List the stream's packets in file order; also return the latest end of any stream's packets, in seconds."""
    listed: list[_Listed] = []
    append, own = listed.append, stream.index
    ends: dict[int, int] = {}  # by stream, in its own ticks: a fraction for each packet takes as long as demuxing
    try:
        for packet in demux(container, *container.streams):
            pts, duration, number = packet.pts, packet.duration or 0, packet.stream_index
            if number == own:
                if packet.size:
                    append((pts, duration, packet.is_keyframe, packet.is_discard))
            elif pts is not None and pts + duration > ends.get(number, -math.inf):
                ends[number] = pts + duration
    except av.error.FFmpegError:
        # A damaged file. No reader gets at what follows, and comparing with the header tells how much that is.
        pass
    own_ends = [pts + duration for pts, duration, _, _ in listed if pts is not None]
    if own_ends:
        ends[own] = max(own_ends)
    seconds = (float(end * base) for number, end in ends.items() if (base := container.streams[number].time_base))
    return listed, max(seconds, default=-math.inf)


def _summarise(
    path: str | Path, container: InputContainer, stream: VideoStream, packets: list[_Listed], seen_end_s: float
) -> PacketIndex:
    access = _access(container.format.name, packets)
    time_base = stream.time_base
    if time_base is None or (access is SeekMode.COUNT and not _each_has_its_time(packets)):
        packets = [(number, 1, is_key, is_discard) for number, (_, _, is_key, is_discard) in enumerate(packets)]
        time_base = 1 / (declared_rate(stream) or Fraction(25))  # 25 is FFmpeg's own guess for elementary streams
    keyframe_pts = sorted({pts for pts, _, is_keyframe, _ in packets if is_keyframe and pts is not None})
    shown = {pts: duration for pts, duration, _, is_discard in packets if pts is not None and not is_discard}
    pts = sorted(shown)
    if access is not SeekMode.COUNT and keyframe_pts:
        # A recording may begin between keyframes; decoders show nothing before the first.
        pts = [time for time in pts if time >= keyframe_pts[0]]
    if not pts:
        raise MediaError(path, MediaFault.TRUNCATED, "the headers are there, but no frame follows them")
    fps = float(declared_rate(stream) or _measured_rate(pts, time_base))
    span_s = float((pts[-1] - pts[0]) * time_base)
    frame_count = round(span_s * fps) + 1
    duration_s = span_s + (float(shown[pts[-1]] * time_base) or 1 / fps)
    declared_end_s = _declared_end_s(container)
    if declared_end_s - seen_end_s > _TRUNCATION_TOLERANCE_S:
        duration_s = declared_end_s - float(pts[0] * time_base)
        frame_count = round(duration_s * fps)
    return PacketIndex(stream.index, access, fps, time_base, pts, keyframe_pts, duration_s, frame_count)


def _access(format_names: str, packets: list[_Listed]) -> SeekMode:
    names = set(format_names.split(","))
    if names & _UNTIMED_FORMATS or all(pts is None for pts, *_ in packets):
        return SeekMode.COUNT
    return SeekMode.SEEK if names & _SEEKABLE_FORMATS else SeekMode.STREAM


def _each_has_its_time(packets: list[_Listed]) -> bool:
    times = {pts for pts, *_ in packets}
    return None not in times and len(times) == len(packets)


def declared_rate(stream: VideoStream) -> Fraction | None:
    """Return the rate by FFmpeg's guess, which is what OpenCV reports, or the next best that the file gives."""
    return stream.guessed_rate or stream.average_rate or stream.base_rate


def _measured_rate(pts: list[int], time_base: Fraction) -> Fraction:
    gaps = [later - earlier for earlier, later in itertools.pairwise(pts)]
    return 1 / (Fraction(statistics.median(gaps)) * time_base) if gaps else Fraction(1)


def _declared_end_s(container: InputContainer) -> float:
    """Return where the header says that the file ends, in seconds; -inf if it does not say."""
    if container.duration is None:
        return -math.inf
    return ((container.start_time or 0) + container.duration) / av.time_base


class VideoInfo(NamedTuple):
    """A video's length and size, as its header has them."""

    duration_s: float
    fps: float
    frame_count: int
    """As stated, or else `duration_s` times `fps`."""
    width: int
    """Width of the pictures as stored, before a rotation on screen."""
    height: int


def probe_video(path: str | Path) -> VideoInfo:
    """Look at a video's header; demux its packets only if that does not say how long it is.

    Raises MediaError if the file cannot be opened or has no video.
    """
    with open_video(path) as container:
        stream = video_stream(container, path)
        width, height = stream.codec_context.width, stream.codec_context.height
        rate, duration_s = declared_rate(stream), _stated_duration_s(container, stream)
        if rate and duration_s > 0:
            count = stream.frames or max(round(duration_s * rate), 1)
            return VideoInfo(duration_s, float(rate), count, width, height)
    scan = index_packets(path)
    return VideoInfo(scan.duration_s, scan.fps, len(scan.pts), width, height)


def _stated_duration_s(container: InputContainer, stream: VideoStream) -> float:
    """Return seconds by the stream's header, or else the file's; 0 if neither says."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base
