"""A folder of numbered pictures as a video file, for benchmarks that are published as frames.

The pictures are put into a container as they are, byte for byte, so whatever reads videos reads them too: by time, with
bounds, and with any frame rule.
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
    """Return a Matroska file of the folder's JPEG pictures in the order of their names, made on first use.

    A folder that is not there gives its own path: whoever reads it will miss it.

    Raises:
        MediaError: the folder holds no pictures.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return folder
    pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg"))
    if not pictures:
        raise MediaError(folder, MediaFault.EMPTY, "a folder without pictures")
    state = f"{folder.resolve()} {fps} {len(pictures)} {max(path.stat().st_mtime_ns for path in pictures)}"
    target = cache_folder("framefolders", f"{hashlib.sha256(state.encode()).hexdigest()[:32]}.mkv")
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_suffix(f".{os.getpid()}")
        _mux(pictures, fps, draft)
        draft.replace(target)
    return target


def _mux(pictures: list[Path], fps: float, target: Path) -> None:
    tick = 1 / Fraction(fps).limit_denominator(1000)
    with av.open(str(pictures[0])) as first, av.open(str(target), "w", format="matroska") as container:
        stream = container.add_stream_from_template(first.streams.video[0])
        stream.time_base = tick
        for number, picture in enumerate(pictures):
            packet = av.Packet(picture.read_bytes())
            packet.stream, packet.time_base = stream, tick
            packet.pts = packet.dts = number
            packet.duration, packet.is_keyframe = 1, True
            container.mux(packet)
