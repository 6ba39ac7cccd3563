"""Images and videos of training samples, read as evaluation reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from qsv_eval.model_adapters.frames import FrameRule, read_image, read_video, thin
from qsv_eval.model_adapters.quicksviewer.processing import Video

__all__ = ["MediaReader"]


@dataclass(frozen=True)
class MediaReader:
    """Reads media at the model's size; raises MediaError."""

    rule: FrameRule
    side: int
    """Of a frame, in pixels."""

    def image(self, source: Path | bytes) -> Image.Image:
        """Read an image file, or the bytes of one."""
        return read_image(source)

    def video(self, path: Path, start_s: float | None, end_s: float | None) -> Video:
        """Read the frames that the rule wants."""
        clip = read_video(path, self.rule, (self.side, self.side), start_s, end_s)
        return Video(clip.frames, clip.timestamps_s, clip.duration_s, clip.shortfall)

    def stored_video(self, frames: Sequence[bytes], timestamps_s: Sequence[float] | None) -> Video:
        """Decode frames that were stored as pictures, at most as many as the rule allows."""
        kept = thin(len(frames), self.rule.max_frames or len(frames))
        pictures = [np.asarray(self.image(frames[number])) for number in kept]
        return Video(np.stack(pictures), None if timestamps_s is None else [timestamps_s[number] for number in kept])
