"""Defects of a benchmark's annotations and files; each file is opened, indexed, and its last frame decoded."""

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
from qsv_eval.model_adapters.plurals import counted

__all__ = ["Defect", "DefectKind", "FileCheck", "FileEntry", "annotation_defects", "check_files"]


class DefectKind(StrEnum):
    """Kind of a defect, in the words of the report."""

    REPEATED_ID = "id more than once"
    OPTIONS = "options"
    """Missing, empty or equal options."""
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
    """Defect of a sample or a file."""

    kind: DefectKind
    where: str
    """Id of the sample, or path of the file."""
    detail: str
    samples: int = 1
    """Number of samples that it affects."""


def annotation_defects(samples: Iterable[Sample], *, needs_options: bool) -> Iterator[Defect]:
    """Yield defects of ids, options and answers. An unpublished answer is not a defect."""
    samples = list(samples)
    for id_ in duplicate_ids(samples):
        yield Defect(DefectKind.REPEATED_ID, id_, f"{sum(sample.id == id_ for sample in samples)} times")
    for sample in samples:
        options = [option.strip().casefold() for option in sample.options]
        if needs_options and len(options) < 2:
            yield Defect(DefectKind.OPTIONS, sample.id, counted(len(options), "option"))
        elif "" in options or len(set(options)) < len(options):
            yield Defect(
                DefectKind.OPTIONS, sample.id, f"an empty option or two equal ones: {', '.join(sample.options)}"
            )
        if options and sample.answer not in (*LETTERS[: len(options)], ""):
            yield Defect(DefectKind.ANSWER, sample.id, f"{sample.answer!r}, {counted(len(options), 'option')}")
        elif options and needs_options and not sample.answer:
            yield Defect(DefectKind.ANSWER, sample.id, "no answer, or several options equal the answer's text")


_TOLERANCE_S, _TOLERANCE = 2.0, 0.05
"""Tolerated difference from an annotated duration, in seconds and as a fraction: hosts round and re-encode."""


class FileEntry(NamedTuple):
    """Readable file, a line of the manifest."""

    path: str
    bytes: int
    identity: str
    """Hash of the content, by `frames.content_id`."""
    duration_s: float | None


class FileCheck(NamedTuple):
    """Manifest entry, if the file is readable, and defects of one file."""

    entry: FileEntry | None
    defects: list[Defect]


def check_files(samples: Iterable[Sample], *, threads: int | None = None) -> Iterator[FileCheck]:
    """Check every video and subtitle file of the samples once, in parallel."""
    videos: dict[str, list[SampleVideo]] = {}
    for sample in samples:
        if sample.video is not None:
            videos.setdefault(sample.video.path, []).append(sample.video)
    subtitles = {video.subtitles for segments in videos.values() for video in segments if video.subtitles}
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        checks = pool.map(_check_video, videos, videos.values())
        yield from tqdm(checks, "checking videos", len(videos), disable=None)
        yield from pool.map(_check_subtitles, sorted(subtitles))


def _check_video(path: str, segments: Sequence[SampleVideo]) -> FileCheck:
    """Index a video, decode its last frame, and compare it with the segments that samples use."""

    def defect(kind: DefectKind, detail: str) -> FileCheck:
        return FileCheck(None, [Defect(kind, path, detail, len(segments))])

    try:
        file = mux_frames(path, segments[0].frames_fps) if segments[0].frames_fps else Path(path)
        content, size = content_id(file), file.stat().st_size
        index = index_packets(file)
        with open_video(file) as container:
            last = list(FrameDecoder(container, index).frames([index.pts[-1]]))
    except MediaError as error:
        return defect(_KINDS.get(error.fault, DefectKind.UNREADABLE), error.detail or error.fault.value)
    except Exception as error:  # noqa: BLE001 - whatever a decoder raises on a damaged file, the other files are checked
        return defect(DefectKind.UNREADABLE, f"{type(error).__name__}: {error}")
    entry = FileEntry(path, size, content, round(index.duration_s, 3))
    defects = []
    end_s = index.seconds(index.pts[-1])
    if index.duration_s - end_s > max(1.0, 2 / index.fps):
        defects.append(Defect(DefectKind.TRUNCATED, path, f"{end_s:.1f} of {index.duration_s:.1f} s", len(segments)))
    elif not last:
        defects.append(Defect(DefectKind.LAST_FRAME, path, f"at {end_s:.2f} s", len(segments)))
    return FileCheck(entry, defects + list(_annotation_mismatches(path, index.duration_s, segments)))


_KINDS: Mapping[MediaFault, DefectKind] = {
    MediaFault.MISSING: DefectKind.MISSING,
    MediaFault.TRUNCATED: DefectKind.TRUNCATED,
}


def _annotation_mismatches(path: str, duration_s: float, segments: Sequence[SampleVideo]) -> Iterator[Defect]:
    annotated = {video.duration_s for video in segments if video.duration_s is not None}
    differing = [
        value_s for value_s in annotated if abs(value_s - duration_s) > max(_TOLERANCE_S, _TOLERANCE * duration_s)
    ]
    if differing:
        yield Defect(DefectKind.DURATION, path, f"{duration_s:.1f} s, annotated {differing[0]:.1f} s", len(segments))
    outside = [video for video in segments if (video.start_s or 0.0) >= duration_s]
    if outside:
        yield Defect(DefectKind.BOUNDS, path, f"starts at {outside[0].start_s} s of {duration_s:.1f} s", len(outside))


def _check_subtitles(path: str) -> FileCheck:
    try:
        if not read_subtitles(path):
            return FileCheck(None, [Defect(DefectKind.SUBTITLES, path, "the file has no text")])
        return FileCheck(FileEntry(path, Path(path).stat().st_size, content_id(path), None), [])
    except MediaError as error:
        return FileCheck(None, [Defect(DefectKind.SUBTITLES, path, error.detail or error.fault.value)])
