"""Images and videos of training samples, read with the evaluation's readers.

Each data worker reads videos in a subprocess, so that a damaged file that hangs or crashes the decoder costs one
sample and not the run.
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

_TIMEOUT_S = 600.0
"""Timeout for reading one video, as in evaluation."""


@dataclass(frozen=True)
class MediaReader:
    """Reader of media at the model's size; raises MediaError."""

    rule: FrameRule
    side: int
    """Width and height of a frame in pixels."""

    def image(self, source: Path | bytes) -> Image.Image:
        """Read an image from a file or from its bytes."""
        return read_image(source)

    def video(self, path: Path, start_s: float | None, end_s: float | None) -> VideoInput:
        """Read the frames that the rule selects between two times."""
        job = ReadJob(str(path), (ClipRequest(self.rule, start_s, end_s),))
        footage, error, *_ = _reader(os.getpid(), ReadSettings((self.side, self.side))).read(job, _TIMEOUT_S)
        if footage is None:
            raise error if isinstance(error, MediaError) else MediaError(path, MediaFault.UNDECODABLE, str(error))
        [view] = footage.views
        assert isinstance(view, FrameSelection), "frames were read, so the only request succeeded"
        return VideoInput(footage.frames, footage.timestamps_s, view.duration_s, view.shortfall)

    def stored_video(self, frames: Sequence[bytes], timestamps_s: Sequence[float] | None) -> VideoInput:
        """Decode frames that were stored as pictures, up to the rule's maximum."""
        indices = subsample(len(frames), self.rule.max_frames or len(frames))
        pictures = [np.asarray(self.image(frames[i])) for i in indices]
        return VideoInput(np.stack(pictures), None if timestamps_s is None else [timestamps_s[i] for i in indices])


@cache
def _reader(pid: int, settings: ReadSettings) -> SubprocessReader:
    """Return this process's reader; the cache key holds the process id, so a fork starts its own reader."""
    del pid
    return SubprocessReader(settings)
