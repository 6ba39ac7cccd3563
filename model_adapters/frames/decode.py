"""Decoding of the frames with given presentation times, and their conversion to RGB at a size as in the reference.

Wanted frames are grouped into runs by the keyframe that decoding starts from. So sparse sampling seeks and dense
sampling decodes through, without a threshold.
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

__all__ = ["DecodeRun", "FrameDecoder", "PixelConverter", "Resize", "group_by_keyframe"]


class DecodeRun(NamedTuple):
    """Wanted frames, ascending, that are decoded from one keyframe without another seek."""

    keyframe: int
    """Index in `PacketIndex.keyframe_pts` to start from; 0 is the beginning of the file."""
    wanted_pts: list[int]


def group_by_keyframe(index: PacketIndex, wanted_pts: Iterable[int]) -> list[DecodeRun]:
    """Group ascending presentation times into runs: a new one where a keyframe lies between two of them."""

    def start_of(pts: int) -> int:
        return index.keyframe_before(pts) if index.seek_mode is SeekMode.SEEK else 0

    return [DecodeRun(keyframe, list(group)) for keyframe, group in itertools.groupby(wanted_pts, start_of)]


class FrameDecoder:
    """Decoder of wanted frames from a newly opened container, in one pass."""

    def __init__(self, container: InputContainer, index: PacketIndex) -> None:
        self.packet_errors = 0
        """Number of packets that FFmpeg refused; decoding continues with the next."""
        self._container = container
        self._index = index
        self._stream = next(stream for stream in container.streams.video if stream.index == index.stream_index)
        # One thread: the worker processes are the parallelism, and a second thread saves no CPU time.
        self._stream.thread_count = 1
        # Frames that no other frame refers to can be skipped exactly, but only where one packet is one frame, and only
        # for H.264, whose nal_ref_idc marks them (HEVC's flag holds per temporal layer).
        self._may_skip = index.seek_mode is SeekMode.SEEK and self._stream.codec_context.name == "h264"

    def frames(self, wanted_pts: Iterable[int]) -> Iterator[tuple[int, VideoFrame]]:
        """Yield the wanted frames that can be decoded with their presentation times, ascending."""
        for run in group_by_keyframe(self._index, wanted_pts):
            wanted = set(run.wanted_pts)
            for pts, frame in self._from_keyframe(run, wanted):
                if pts in wanted:
                    wanted.remove(pts)
                    yield pts, frame
                if pts >= run.wanted_pts[-1]:
                    break

    def _from_keyframe(self, run: DecodeRun, wanted: set[int]) -> Iterator[tuple[int, VideoFrame]]:
        """Decode from the run's keyframe, or from the one before if the first frame decoded is later than wanted.

        A seek can land late, because decoders recover only after some keyframes (open GOP, intra refresh) and
        containers search by decode time.
        """
        if run.keyframe == 0:
            return self._decoded(wanted)
        for keyframe in (run.keyframe, run.keyframe - 1):
            self._seek(self._index.keyframe_pts[keyframe])
            decoded = self._decoded(wanted)
            first = next(decoded, None)
            if first is not None and first[0] <= run.wanted_pts[0]:
                break
        return decoded if first is None else itertools.chain([first], decoded)

    def _seek(self, pts: int) -> None:
        try:
            self._container.seek(pts, stream=self._stream)
        except av.error.FFmpegError:
            # A damaged index. Decoding on from here still reaches the wanted frames, which all lie ahead.
            self.packet_errors += 1

    def _decoded(self, wanted: set[int]) -> Iterator[tuple[int, VideoFrame]]:
        """Yield all following frames, except those that can be skipped exactly."""
        indices = itertools.count()
        for packet in self._packets():
            skippable = self._may_skip and packet is not None and packet.pts is not None and packet.pts not in wanted
            self._stream.codec_context.skip_frame = "NONREF" if skippable else "DEFAULT"
            try:
                frames = self._stream.decode(packet)
            except av.error.FFmpegError:
                self.packet_errors += 1
                continue
            for frame in frames:
                pts = self._pts(frame, next(indices))
                if pts is not None:
                    yield pts, frame

    def _packets(self) -> Iterator[Packet | None]:
        """Yield packets to the end, then an empty one, which flushes the decoder."""
        try:
            yield from demux(self._container, self._stream)
        except av.error.FFmpegError:
            self.packet_errors += 1
            yield None

    def _pts(self, frame: VideoFrame, position: int) -> int | None:
        if self._index.seek_mode is not SeekMode.COUNT:
            return frame.pts
        return self._index.pts[position] if position < len(self._index.pts) else None


Resize = Literal["exact", "fast"]
"""`exact`: RGB at full size, then Pillow's bicubic, bit for bit the reference. `fast`: FFmpeg's bicubic, a third of the
time; it differs by about one level (of 256) on average and 60 at most."""


class PixelConverter:
    """Converter of frames to uint8 `(H, W, 3)`; reuses FFmpeg's conversion tables between frames."""

    def __init__(self, size: tuple[int, int], resize: Resize = "exact") -> None:
        self._height, self._width = size
        self._resize = resize
        self._reformatter = VideoReformatter()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of a converted frame: (height, width, 3)."""
        return self._height, self._width, 3

    def __call__(self, frame: VideoFrame) -> np.ndarray:
        """Return a frame as upright RGB at the converter's size; the aspect ratio is not kept."""
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
        # they return the same bytes as OpenCV, decord and torchcodec.
        rgb = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            dst_colorspace=Colorspace.ITU601,
            interpolation=Interpolation.BICUBIC if width else None,
        )
        return rgb.to_ndarray()
