"""Conversion of a folder of numbered images to a video file, for benchmarks that are published as frames.

The images are muxed byte for byte, so the folder is read like any video, with bounds and any frame rule.
"""

import hashlib
import os
from fractions import Fraction
from pathlib import Path

import av

from qsv_eval.model_adapters.errors import MediaError, MediaFault
from qsv_eval.model_adapters.files import cache_folder

__all__ = ["mux_frames"]


def mux_frames(folder: str | Path, fps: float) -> Path:
    """Return a Matroska file of the folder's JPEG images in the order of their names, written on first use.

    For a missing folder its path is returned, whose reader will report it missing.

    Raises:
        MediaError: the folder has no images.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return folder
    images = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg"))
    if not images:
        raise MediaError(folder, MediaFault.EMPTY, "a folder without JPEG images")
    state = f"{folder.resolve()} {fps} {len(images)} {max(path.stat().st_mtime_ns for path in images)}"
    target = cache_folder("framefolders", f"{hashlib.sha256(state.encode()).hexdigest()[:32]}.mkv")
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_suffix(f".{os.getpid()}")
        _mux(images, fps, draft)
        draft.replace(target)
    return target


def _mux(images: list[Path], fps: float, target: Path) -> None:
    tick = 1 / Fraction(fps).limit_denominator(1000)
    with av.open(str(images[0])) as first, av.open(str(target), "w", format="matroska") as container:
        stream = container.add_stream_from_template(first.streams.video[0])
        stream.time_base = tick
        for index, image in enumerate(images):
            packet = av.Packet(image.read_bytes())
            packet.stream, packet.time_base = stream, tick
            packet.pts = packet.dts = index
            packet.duration, packet.is_keyframe = 1, True
            container.mux(packet)
