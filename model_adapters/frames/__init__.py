"""From a media file to the frames that the model sees: which instants (`FrameRule`), then reading them."""

from qsv_eval.model_adapters.frames.footage import Allocate, ClipRequest, Footage, View, read_footage
from qsv_eval.model_adapters.frames.images import read_image
from qsv_eval.model_adapters.frames.media import identity, size_bytes
from qsv_eval.model_adapters.frames.probe import VideoFacts, probe_video
from qsv_eval.model_adapters.frames.reader import Clip, read_video
from qsv_eval.model_adapters.frames.rule import FrameRule, thin
from qsv_eval.model_adapters.frames.store import FrameStore, Stored

__all__ = [
    "Allocate",
    "Clip",
    "ClipRequest",
    "Footage",
    "FrameRule",
    "FrameStore",
    "Stored",
    "VideoFacts",
    "View",
    "identity",
    "probe_video",
    "read_footage",
    "read_image",
    "read_video",
    "size_bytes",
    "thin",
]
