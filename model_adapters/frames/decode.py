"""Last of the reader's three steps: decode the frames with given presentation times, and as few others as possible.

The wanted frames are grouped by the keyframe that decoding has to start from, and every group is one *run*. So sparse
sampling becomes seeking and dense sampling becomes reading through, with no threshold between the two.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame

from qsv_eval.model_adapters.frames.scan import Access, Scan, demux

__all__ = ["FrameDecoder", "Run", "plan_runs"]


class Run(NamedTuple):
    """Wanted frames, ascending, that one uninterrupted stretch of decoding delivers."""

    keyframe: int
    """Position in `Scan.keyframe_pts` to start from; 0 is the beginning of the file."""
    wanted_pts: list[int]


def plan_runs(scan: Scan, wanted_pts: Iterable[int]) -> list[Run]:
    """Group ascending presentation times: a new run wherever a keyframe lies between two of them."""

    def start_of(pts: int) -> int:
        return scan.keyframe_before(pts) if scan.access is Access.SEEK else 0

    return [Run(keyframe, list(group)) for keyframe, group in itertools.groupby(wanted_pts, start_of)]


class FrameDecoder:
    """Decodes wanted frames from a freshly opened container, in one pass over its runs."""

    def __init__(self, container: InputContainer, scan: Scan) -> None:
        self.packet_errors = 0
        """How often FFmpeg refused a packet; decoding went on with the next."""
        self._container = container
        self._scan = scan
        self._stream = next(stream for stream in container.streams.video if stream.index == scan.stream_index)
        # One thread: a second one gained nothing in CPU seconds, and the worker processes are the parallelism.
        self._stream.thread_count = 1
        # Only where one packet is one frame, and only for H.264, whose nal_ref_idc says exactly which frames nothing
        # refers to: such a frame can be left out without any other changing. (HEVC's flag holds per temporal layer.)
        self._may_skip = scan.access is Access.SEEK and self._stream.codec_context.name == "h264"

    def frames(self, wanted_pts: Iterable[int]) -> Iterator[tuple[int, VideoFrame]]:
        """Yield the wanted frames that can be decoded, with their presentation times, ascending."""
        for run in plan_runs(self._scan, wanted_pts):
            wanted = set(run.wanted_pts)
            for pts, frame in self._from_keyframe(run, wanted):
                if pts in wanted:
                    wanted.remove(pts)
                    yield pts, frame
                if pts >= run.wanted_pts[-1]:
                    break

    def _from_keyframe(self, run: Run, wanted: set[int]) -> Iterator[tuple[int, VideoFrame]]:
        """Decode from the run's keyframe, or from the one before if that starts later than the first wanted frame.

        The index may call a frame a keyframe from which decoders only recover later (open GOP, intra refresh), and
        containers search by decode time, so a seek can land late: then start one keyframe earlier.
        """
        if run.keyframe == 0:
            return self._decoded(wanted)
        for keyframe in (run.keyframe, run.keyframe - 1):
            self._seek(self._scan.keyframe_pts[keyframe])
            decoded = self._decoded(wanted)
            first = next(decoded, None)
            if first is not None and first[0] <= run.wanted_pts[0]:
                break
        return decoded if first is None else itertools.chain([first], decoded)

    def _seek(self, pts: int) -> None:
        try:
            self._container.seek(pts, stream=self._stream)
        except av.error.FFmpegError:
            # A damaged index. Reading on from here still passes the wanted frames, which only lie ahead.
            self.packet_errors += 1

    def _decoded(self, wanted: set[int]) -> Iterator[tuple[int, VideoFrame]]:
        """Yield all frames from here on, except those that can be left out exactly."""
        numbers = itertools.count()
        for packet in self._packets():
            skippable = self._may_skip and packet is not None and packet.pts is not None and packet.pts not in wanted
            self._stream.codec_context.skip_frame = "NONREF" if skippable else "DEFAULT"
            try:
                frames = self._stream.decode(packet)
            except av.error.FFmpegError:
                self.packet_errors += 1
                continue
            for frame in frames:
                pts = self._pts(frame, next(numbers))
                if pts is not None:
                    yield pts, frame

    def _packets(self) -> Iterator[Packet | None]:
        """Yield packets from here to the end, the last of them empty: then the decoder gives out what it holds."""
        try:
            yield from demux(self._container, self._stream)
        except av.error.FFmpegError:
            self.packet_errors += 1
            yield None

    def _pts(self, frame: VideoFrame, number: int) -> int | None:
        if self._scan.access is not Access.COUNT:
            return frame.pts
        return self._scan.pts[number] if number < len(self._scan.pts) else None
