"""Reading frames from media files: instants by `FrameRule`, then an exact decode."""

from qsv_eval.model_adapters.frames.content_id import identity, size_bytes
from qsv_eval.model_adapters.frames.decoded_frames import (
    Allocate,
    ClipRequest,
    DecodedFrames,
    FrameSelection,
    read_frames,
)
from qsv_eval.model_adapters.frames.images import read_image
from qsv_eval.model_adapters.frames.packet_index import VideoInfo, probe_video
from qsv_eval.model_adapters.frames.reader import DecodedClip, read_video
from qsv_eval.model_adapters.frames.sampling import FrameRule, subsample
from qsv_eval.model_adapters.frames.store import FrameStore, StoredRead

__all__ = [
    "Allocate",
    "ClipRequest",
    "DecodedClip",
    "DecodedFrames",
    "FrameRule",
    "FrameSelection",
    "FrameStore",
    "StoredRead",
    "VideoInfo",
    "identity",
    "probe_video",
    "read_frames",
    "read_image",
    "read_video",
    "size_bytes",
    "subsample",
]
