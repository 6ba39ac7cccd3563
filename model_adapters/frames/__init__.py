"""From a media file to the frames that the model sees: which instants (`FrameRule`), then reading them."""

from qsv_eval.model_adapters.frames.images import read_image
from qsv_eval.model_adapters.frames.media import identity, size_bytes
from qsv_eval.model_adapters.frames.reader import Clip, read_video
from qsv_eval.model_adapters.frames.rule import FrameRule, thin

__all__ = ["Clip", "FrameRule", "identity", "read_image", "read_video", "size_bytes", "thin"]
