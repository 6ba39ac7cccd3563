"""Frame sampling (`FrameRule`) and reading of videos and images."""

from qsv_eval.model_adapters.frames.content_id import content_id, size_bytes
from qsv_eval.model_adapters.frames.decoded_frames import (
    ClipRequest,
    DecodedFrames,
    FrameAllocator,
    FrameSelection,
    read_frames,
)
from qsv_eval.model_adapters.frames.images import read_image
from qsv_eval.model_adapters.frames.packet_index import VideoInfo, probe_video
from qsv_eval.model_adapters.frames.reader import DecodedClip, read_video
from qsv_eval.model_adapters.frames.sampling import FrameRule, subsample
from qsv_eval.model_adapters.frames.store import FrameStore, StoredRead

__all__ = [
    "ClipRequest",
    "DecodedClip",
    "DecodedFrames",
    "FrameAllocator",
    "FrameRule",
    "FrameSelection",
    "FrameStore",
    "StoredRead",
    "VideoInfo",
    "content_id",
    "probe_video",
    "read_frames",
    "read_image",
    "read_video",
    "size_bytes",
    "subsample",
]
