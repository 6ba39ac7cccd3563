"""The first look at a run's files, before anything is planned: what is there, what it is, and how long it lasts.

Files are looked at by several threads, because on network storage each look is a wait.
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
    """What one look at a file tells."""

    identity: str = ""
    """Names its content; empty if there is none to name."""
    video: VideoInfo | None = None
    """None for images and subtitles, and where the header cannot be read: whoever reads the file will find out why."""
    fault: str = ""
    """Why it cannot be used at all."""


def probe_files(questions: Iterable[Request], *, show_progress: bool = False) -> dict[str, FileProbe]:
    """Look at every file of the questions once; return what was found by path."""
    kinds = {path: kind for question in questions for path, kind in question.files}
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(_look_at, kinds, kinds.values())
        bar = tqdm(found, "Looking at files", len(kinds), leave=False, disable=not show_progress, delay=2)
        return dict(zip(kinds, bar, strict=True))


def _look_at(path: str, kind: str) -> FileProbe:
    try:
        name = content_id(path)
    except (QsvError, OSError) as error:
        return FileProbe(fault=str(error))
    if kind != "video":
        return FileProbe(name)
    try:
        return FileProbe(name, probe_video(path))
    except Exception:  # noqa: BLE001 - whatever a damaged file does to a demuxer, whoever reads it finds out why
        return FileProbe(name)
