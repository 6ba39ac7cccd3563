"""Last of the reader's three steps: decode the frames with given presentation times, and as few others as possible.

The wanted frames are grouped by the keyframe that decoding has to start from, and every group is one *run*. So sparse
sampling becomes seeking and dense sampling becomes reading through, with no threshold between the two.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from PIL import Image

from qsv_eval.model_adapters.frames.packet_index import PacketIndex, SeekMode, demux

__all__ = ["DecodeRun", "FrameDecoder", "PixelConverter", "Resize", "plan_runs"]


class DecodeRun(NamedTuple):
    """Wanted frames, ascending, that one uninterrupted stretch of decoding delivers."""

    keyframe: int
    """Position in `PacketIndex.keyframe_pts` to start from; 0 is the beginning of the file."""
    wanted_pts: list[int]


def plan_runs(scan: PacketIndex, wanted_pts: Iterable[int]) -> list[DecodeRun]:
    """Group ascending presentation times: a new run wherever a keyframe lies between two of them."""

    def start_of(pts: int) -> int:
        return scan.keyframe_before(pts) if scan.access is SeekMode.SEEK else 0

    return [DecodeRun(keyframe, list(group)) for keyframe, group in itertools.groupby(wanted_pts, start_of)]


class FrameDecoder:
    """Decodes wanted frames from a freshly opened container, in one pass over its runs."""

    def __init__(self, container: InputContainer, scan: PacketIndex) -> None:
        self.packet_errors = 0
        """Number of packets that FFmpeg refused; decoding went on with the next one."""
        self._container = container
        self._scan = scan
        self._stream = next(stream for stream in container.streams.video if stream.index == scan.stream_index)
        # One thread: a second one gained nothing in CPU seconds, and the worker processes are the parallelism.
        self._stream.thread_count = 1
        # Only where one packet is one frame, and only for H.264, whose nal_ref_idc says exactly which frames nothing
        # refers to: such a frame can be left out without any other changing. (HEVC's flag holds per temporal layer.)
        self._may_skip = scan.access is SeekMode.SEEK and self._stream.codec_context.name == "h264"

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

    def _from_keyframe(self, run: DecodeRun, wanted: set[int]) -> Iterator[tuple[int, VideoFrame]]:
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
        if self._scan.access is not SeekMode.COUNT:
            return frame.pts
        return self._scan.pts[number] if number < len(self._scan.pts) else None


Resize = Literal["exact", "fast"]
"""`exact`: RGB at full size, then Pillow's bicubic, bit for bit the reference. `fast`: FFmpeg's bicubic, which takes a
third of the time and differs by about one level on average, 60 at most."""


class PixelConverter:
    """Turns frames into uint8 `(H, W, 3)`; keeps FFmpeg's conversion tables from one frame to the next."""

    def __init__(self, size: tuple[int, int], resize: Resize = "exact") -> None:
        self._height, self._width = size
        self._resize = resize
        self._reformatter = VideoReformatter()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of a converted frame: (height, width, 3)."""
        return self._height, self._width, 3

    def __call__(self, frame: VideoFrame) -> np.ndarray:
        """Upright RGB at the converter's size; the aspect ratio is not kept."""
        quarter_turns = round(frame.rotation / 90)
        if self._resize == "fast":
            return self._fast(frame, quarter_turns)
        image = Image.fromarray(np.rot90(self._to_rgb(frame), quarter_turns))
        return np.asarray(image.resize((self._width, self._height), Image.Resampling.BICUBIC))

    def _fast(self, frame: VideoFrame, quarter_turns: int) -> np.ndarray:
        sideways = quarter_turns % 2 == 1
        width, height = (self._height, self._width) if sideways else (self._width, self._height)
        return np.rot90(self._to_rgb(frame, width, height), quarter_turns)

    def _to_rgb(self, frame: VideoFrame, width: int | None = None, height: int | None = None) -> np.ndarray:
        # PyAV 15 and 16 ignore a BT.709 tag unless the target's colour space is named (up to 16 levels off). With it
        # named they give the bytes of OpenCV, decord and torchcodec.
        rgb = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            dst_colorspace=Colorspace.ITU601,
            interpolation=Interpolation.BICUBIC if width else None,
        )
        return rgb.to_ndarray()
