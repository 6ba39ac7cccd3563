"""Clips as files: `ensure_video(spec, folder)` encodes a clip to mp4 the first time it is asked for.

The file name carries a fingerprint of the specification, of drawn frames and of the encoder's settings, so a changed
generator never finds an old clip. Writers may race or be killed: a file appears whole, under its final name, or not.
"""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Final, cast

import av
from av.video.stream import VideoStream

from qsv_eval.demo.draw import frame_at, video_frames
from qsv_eval.demo.scene import ClipSpec
from qsv_eval.model_adapters.files import atomic_write

__all__ = ["ensure_video", "video_name"]

# PyAV's own wheels carry libx264; builds against a system FFmpeg without it still have mpeg4.
# No macroblock tree: its assembly reads memory that was never set, so the same clip could come out in different bytes
# (seen with MALLOC_PERTURB_=1). It looks ahead, so without it the look-ahead goes too.
_ENCODERS: Final = {
    "libx264": {
        "preset": "veryfast",
        "crf": "22",
        "threads": "1",
        "g": "64",
        "bf": "0",
        "x264-params": "mbtree=0:rc-lookahead=0",
    },
    "mpeg4": {"qscale": "3", "threads": "1", "g": "64"},
}


def ensure_video(spec: ClipSpec, folder: str | os.PathLike[str]) -> Path:
    """Return the clip's mp4 in `folder`, encoding it first if it is not there; the folder is made if need be."""
    path = Path(folder) / video_name(spec)
    if path.exists():
        return path
    with atomic_write(path, many_writers=True) as draft:
        _encode(spec, draft)
    return path


def video_name(spec: ClipSpec) -> str:
    """Return the clip's file name: its id and a fingerprint of everything that its content depends on."""
    digest = hashlib.sha256()
    codec = _codec()
    digest.update(json.dumps([asdict(spec), codec, _ENCODERS[codec]], sort_keys=True).encode())
    for scene in spec.scenes:
        # One frame of every scene stands for the drawing code, which the specification does not describe.
        digest.update(frame_at(spec, scene.first_sampled + 0.5).tobytes())
    return f"{spec.clip_id}-{digest.hexdigest()[:12]}.mp4"


def _codec() -> str:
    for name in _ENCODERS:
        if name in av.codecs_available:
            return name
    raise RuntimeError(
        f"PyAV {av.__version__} has none of the encoders {', '.join(_ENCODERS)}. Install its wheel: pip install av"
    )


def _encode(spec: ClipSpec, path: Path) -> None:
    codec = _codec()
    # bitexact keeps library versions and dates out of the file, so equal frames make equal files.
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=spec.fps, options=_ENCODERS[codec]))
        stream.width = stream.height = spec.size_px
        stream.pix_fmt = "yuv420p"
        for frame in video_frames(spec):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
