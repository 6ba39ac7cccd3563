"""Probe the media files of a run before it is planned: existence, content id and video header.

Several threads work at once, because on network storage every access waits.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tqdm import tqdm

from qsv_eval.model_adapters.engine.request import Request
from qsv_eval.model_adapters.errors import QsvError
from qsv_eval.model_adapters.frames import VideoInfo, content_id, probe_video

__all__ = ["FileProbe", "probe_files"]

_THREADS = 16


class FileProbe(NamedTuple):
    """Content id and header of one file, or the reason why it cannot be used."""

    content_id: str = ""
    """Empty if the file cannot be used."""
    video: VideoInfo | None = None
    """None for images and subtitles, and for an unreadable header: reading the frames will report the reason."""
    fault: str = ""


def probe_files(requests: Iterable[Request], *, show_progress: bool = False) -> dict[str, FileProbe]:
    """Probe every file of the requests once and return the results by path."""
    kinds = {path: kind for request in requests for path, kind in request.files}
    with ThreadPoolExecutor(_THREADS) as pool:
        probes = pool.map(_probe, kinds, kinds.values())
        progress = tqdm(
            probes, "Checking media files", len(kinds), unit="file", leave=False, disable=not show_progress, delay=2
        )
        return dict(zip(kinds, progress, strict=True))


def _probe(path: str, kind: str) -> FileProbe:
    try:
        name = content_id(path)
    except (QsvError, OSError) as error:
        return FileProbe(fault=str(error))
    if kind != "video":
        return FileProbe(name)
    try:
        return FileProbe(name, probe_video(path))
    except Exception:  # noqa: BLE001 - a damaged file may raise anything in a demuxer; reading its frames tells why
        return FileProbe(name)
