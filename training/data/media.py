"""Images and videos of training samples, read as evaluation reads them.

Videos are read by a process of their own beside each that prepares samples. A damaged file can make a decoder hang or
crash; that then costs this sample, and not the run, which would meet it again when it is resumed.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from qsv_eval.model_adapters.errors import MediaError, MediaFault
from qsv_eval.model_adapters.frames import ClipRequest, FrameRule, FrameSelection, read_image, subsample
from qsv_eval.model_adapters.frames.read_job import ReadJob, ReadSettings
from qsv_eval.model_adapters.frames.subprocess_reader import SubprocessReader
from qsv_eval.model_adapters.quicksviewer.messages import VideoInput

__all__ = ["MediaReader"]

_LIMIT_S = 600.0
"""A video that gives no frames for so long is broken, as in evaluation."""


@dataclass(frozen=True)
class MediaReader:
    """Reads media at the model's size; raises MediaError."""

    rule: FrameRule
    side: int
    """Of a frame, in pixels."""

    def image(self, source: Path | bytes) -> Image.Image:
        """Read an image file, or the bytes of one."""
        return read_image(source)

    def video(self, path: Path, start_s: float | None, end_s: float | None) -> VideoInput:
        """Read the frames that the rule wants."""
        job = ReadJob(str(path), (ClipRequest(self.rule, start_s, end_s),))
        footage, error, *_ = _reader(os.getpid(), ReadSettings((self.side, self.side))).read(job, _LIMIT_S)
        if footage is None:
            raise error if isinstance(error, MediaError) else MediaError(path, MediaFault.UNDECODABLE, str(error))
        [view] = footage.views
        assert isinstance(view, FrameSelection), "else there would be no footage"
        # The only request sees all frames.
        return VideoInput(footage.frames, footage.timestamps_s, view.duration_s, view.shortfall)

    def stored_video(self, frames: Sequence[bytes], timestamps_s: Sequence[float] | None) -> VideoInput:
        """Decode frames that were stored as pictures, at most as many as the rule allows."""
        kept = subsample(len(frames), self.rule.max_frames or len(frames))
        pictures = [np.asarray(self.image(frames[number])) for number in kept]
        return VideoInput(
            np.stack(pictures), None if timestamps_s is None else [timestamps_s[number] for number in kept]
        )


@cache
def _reader(pid: int, settings: ReadSettings) -> SubprocessReader:
    """Return the reader of this process; one that was begun before a fork is the other's."""
    del pid
    return SubprocessReader(settings)
