"""What can be wrong with a benchmark's annotations; what can be wrong with its files is in `files.py`."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from qsv_eval.data.frame_folder import mux_frames
from qsv_eval.data.letters import LETTERS
from qsv_eval.data.sample import Sample, SampleVideo, duplicate_ids
from qsv_eval.model_adapters.engine.subtitles import read_subtitles
from qsv_eval.model_adapters.errors import MediaError, MediaFault
from qsv_eval.model_adapters.frames import content_id
from qsv_eval.model_adapters.frames.decode import FrameDecoder
from qsv_eval.model_adapters.frames.packet_index import index_packets, open_video

__all__ = ["Defect", "DefectKind", "FileCheck", "FileEntry", "annotation_defects", "check_files"]

# MERGED DOCSTRINGS, to be worked into the one above:
# Look at a benchmark's files: each is opened, listed to its end, and its last frame decoded.


class DefectKind(StrEnum):
    """Kinds of defects."""

    REPEATED_ID = "id more than once"
    OPTIONS = "options"
    """None where there must be some, an empty one, or two alike."""
    ANSWER = "answer is no option"
    MISSING = "missing"
    UNREADABLE = "cannot be read"
    TRUNCATED = "cut short"
    LAST_FRAME = "last frame cannot be decoded"
    DURATION = "length is not as annotated"
    BOUNDS = "segment outside of the video"
    SUBTITLES = "subtitles cannot be read"
    IMAGE = "image cannot be read"


class Defect(NamedTuple):
    """One thing that is wrong."""

    kind: DefectKind
    where: str
    """The sample's id, or the file."""
    detail: str
    samples: int = 1
    """How many samples it concerns."""


def annotation_defects(samples: Iterable[Sample], *, needs_options: bool) -> Iterator[Defect]:
    """Yield what is wrong with ids, options and answers. An answer that is not published is no defect."""
    samples = list(samples)
    for id_ in duplicate_ids(samples):
        yield Defect(DefectKind.REPEATED_ID, id_, f"{sum(sample.id == id_ for sample in samples)} times")
    for sample in samples:
        options = [option.strip().casefold() for option in sample.options]
        if needs_options and len(options) < 2:
            yield Defect(DefectKind.OPTIONS, sample.id, f"{len(options)} options")
        elif "" in options or len(set(options)) < len(options):
            yield Defect(DefectKind.OPTIONS, sample.id, f"an empty one or two alike: {', '.join(sample.options)}")
        if options and sample.answer not in (*LETTERS[: len(options)], ""):
            yield Defect(DefectKind.ANSWER, sample.id, f"{sample.answer!r} of {len(options)} options")
        elif options and needs_options and not sample.answer:
            yield Defect(DefectKind.ANSWER, sample.id, "none, or more than one option is the answer's text")


_TOLERANCE_S, _TOLERANCE = 2.0, 0.05
"""Annotated lengths are rounded, and hosts re-encode: what may differ, in seconds or as a share."""


class FileEntry(NamedTuple):
    """A line of the manifest."""

    path: str
    bytes: int
    identity: str
    """Names the content; see `frames.content_id`."""
    duration_s: float | None


class FileCheck(NamedTuple):
    """What was found of one file."""

    entry: FileEntry | None
    defects: list[Defect]


def check_files(samples: Iterable[Sample], *, threads: int | None = None) -> Iterator[FileCheck]:
    """Examine every video and subtitle file of the samples once, several at a time."""
    videos: dict[str, list[SampleVideo]] = {}
    for sample in samples:
        if sample.video is not None:
            videos.setdefault(sample.video.path, []).append(sample.video)
    subtitles = {video.subtitles for uses in videos.values() for video in uses if video.subtitles}
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        found = pool.map(_examine_video, videos, videos.values())
        yield from tqdm(found, "examining videos", len(videos), disable=None)
        yield from pool.map(_examine_subtitles, sorted(subtitles))


def _examine_video(path: str, uses: Sequence[SampleVideo]) -> FileCheck:
    def defect(kind: DefectKind, detail: str) -> FileCheck:
        return FileCheck(None, [Defect(kind, path, detail, len(uses))])

    try:
        file = mux_frames(path, uses[0].frames_fps) if uses[0].frames_fps else Path(path)
        name, size = content_id(file), file.stat().st_size
        scan = index_packets(file)
        with open_video(file) as container:
            last = list(FrameDecoder(container, scan).frames([scan.pts[-1]]))
    except MediaError as error:
        return defect(_KINDS.get(error.fault, DefectKind.UNREADABLE), error.detail or error.fault.value)
    except Exception as error:  # noqa: BLE001 - whatever a damaged file does to a decoder, the others are looked at
        return defect(DefectKind.UNREADABLE, f"{type(error).__name__}: {error}")
    entry = FileEntry(path, size, name, round(scan.duration_s, 3))
    defects = []
    held_s = scan.seconds(scan.pts[-1])
    if scan.duration_s - held_s > max(1.0, 2 / scan.fps):
        defects.append(Defect(DefectKind.TRUNCATED, path, f"{held_s:.1f} of {scan.duration_s:.1f} s", len(uses)))
    elif not last:
        defects.append(Defect(DefectKind.LAST_FRAME, path, f"at {held_s:.2f} s", len(uses)))
    return FileCheck(entry, defects + list(_against_annotations(path, scan.duration_s, uses)))


_KINDS: Mapping[MediaFault, DefectKind] = {
    MediaFault.MISSING: DefectKind.MISSING,
    MediaFault.TRUNCATED: DefectKind.TRUNCATED,
}


def _against_annotations(path: str, duration_s: float, uses: Sequence[SampleVideo]) -> Iterator[Defect]:
    stated = {video.duration_s for video in uses if video.duration_s is not None}
    off = [one for one in stated if abs(one - duration_s) > max(_TOLERANCE_S, _TOLERANCE * duration_s)]
    if off:
        yield Defect(DefectKind.DURATION, path, f"{duration_s:.1f} s, annotated {off[0]:.1f} s", len(uses))
    outside = [video for video in uses if (video.start_s or 0.0) >= duration_s]
    if outside:
        yield Defect(DefectKind.BOUNDS, path, f"starts at {outside[0].start_s} s of {duration_s:.1f} s", len(outside))


def _examine_subtitles(path: str) -> FileCheck:
    try:
        if not read_subtitles(path):
            return FileCheck(None, [Defect(DefectKind.SUBTITLES, path, "no text in it")])
        return FileCheck(FileEntry(path, Path(path).stat().st_size, content_id(path), None), [])
    except MediaError as error:
        return FileCheck(None, [Defect(DefectKind.SUBTITLES, path, error.detail or error.fault.value)])
