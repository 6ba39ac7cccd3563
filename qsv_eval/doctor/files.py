"""Look at a benchmark's files: each is opened, listed to its end, and its last frame decoded."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from qsv_eval.data.framefolder import as_video
from qsv_eval.data.sample import Sample, Video
from qsv_eval.doctor.defects import Defect, Kind
from qsv_eval.model_adapters.engine.subtitles import read_subtitles
from qsv_eval.model_adapters.errors import MediaError, MediaFault
from qsv_eval.model_adapters.frames import identity
from qsv_eval.model_adapters.frames.decode import FrameDecoder
from qsv_eval.model_adapters.frames.scan import open_video, scan_video

__all__ = ["Entry", "Examined", "examine_files"]

_TOLERANCE_S, _TOLERANCE = 2.0, 0.05
"""Annotated lengths are rounded, and hosts re-encode: what may differ, in seconds or as a share."""


class Entry(NamedTuple):
    """A line of the manifest."""

    path: str
    bytes: int
    identity: str
    """Names the content; see `frames.identity`."""
    duration_s: float | None


class Examined(NamedTuple):
    """What was found of one file."""

    entry: Entry | None
    defects: list[Defect]


def examine_files(samples: Iterable[Sample], *, threads: int | None = None) -> Iterator[Examined]:
    """Examine every video and subtitle file of the samples once, several at a time."""
    videos: dict[str, list[Video]] = {}
    for sample in samples:
        if sample.video is not None:
            videos.setdefault(sample.video.path, []).append(sample.video)
    subtitles = {video.subtitles for uses in videos.values() for video in uses if video.subtitles}
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        found = pool.map(_examine_video, videos, videos.values())
        yield from tqdm(found, "examining videos", len(videos), disable=None)
        yield from pool.map(_examine_subtitles, sorted(subtitles))


def _examine_video(path: str, uses: Sequence[Video]) -> Examined:
    def defect(kind: Kind, detail: str) -> Examined:
        return Examined(None, [Defect(kind, path, detail, len(uses))])

    try:
        file = as_video(path, uses[0].frames_fps) if uses[0].frames_fps else Path(path)
        name, size = identity(file), file.stat().st_size
        scan = scan_video(file)
        with open_video(file) as container:
            last = list(FrameDecoder(container, scan).frames([scan.pts[-1]]))
    except MediaError as error:
        return defect(_KINDS.get(error.fault, Kind.UNREADABLE), error.detail or error.fault.value)
    except Exception as error:  # noqa: BLE001 - whatever a damaged file does to a decoder, the others are looked at
        return defect(Kind.UNREADABLE, f"{type(error).__name__}: {error}")
    entry = Entry(path, size, name, round(scan.duration_s, 3))
    defects = []
    held_s = scan.seconds(scan.pts[-1])
    if scan.duration_s - held_s > max(1.0, 2 / scan.fps):
        defects.append(Defect(Kind.TRUNCATED, path, f"{held_s:.1f} of {scan.duration_s:.1f} s", len(uses)))
    elif not last:
        defects.append(Defect(Kind.LAST_FRAME, path, f"at {held_s:.2f} s", len(uses)))
    return Examined(entry, defects + list(_against_annotations(path, scan.duration_s, uses)))


_KINDS: Mapping[MediaFault, Kind] = {MediaFault.MISSING: Kind.MISSING, MediaFault.TRUNCATED: Kind.TRUNCATED}


def _against_annotations(path: str, duration_s: float, uses: Sequence[Video]) -> Iterator[Defect]:
    stated = {video.duration_s for video in uses if video.duration_s is not None}
    off = [one for one in stated if abs(one - duration_s) > max(_TOLERANCE_S, _TOLERANCE * duration_s)]
    if off:
        yield Defect(Kind.DURATION, path, f"{duration_s:.1f} s, annotated {off[0]:.1f} s", len(uses))
    outside = [video for video in uses if (video.start_s or 0.0) >= duration_s]
    if outside:
        yield Defect(Kind.BOUNDS, path, f"starts at {outside[0].start_s} s of {duration_s:.1f} s", len(outside))


def _examine_subtitles(path: str) -> Examined:
    try:
        if not read_subtitles(path):
            return Examined(None, [Defect(Kind.SUBTITLES, path, "no text in it")])
        return Examined(Entry(path, Path(path).stat().st_size, identity(path), None), [])
    except MediaError as error:
        return Examined(None, [Defect(Kind.SUBTITLES, path, error.detail or error.fault.value)])
