"""Thumbnails of the frames that an answer used, read from local videos at the journal's times or by the frame rule."""

import base64
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from PIL import Image

from qsv_eval.data.sample import Sample
from qsv_eval.leaderboard.page.data_files import DataFiles
from qsv_eval.leaderboard.page.read_run import FramesUsed
from qsv_eval.leaderboard.safe_text import digest
from qsv_eval.model_adapters.errors import MediaError, QsvError, SetupError
from qsv_eval.model_adapters.frames import FrameRule, content_id, probe_video, subsample
from qsv_eval.model_adapters.frames.decoded_frames import ClipRequest
from qsv_eval.model_adapters.frames.read_job import ReadJob, ReadSettings, run_read_job
from qsv_eval.model_adapters.variant_name import plain_name
from qsv_eval.tasks.media import media_parts
from qsv_eval.tasks.registry import task_named

__all__ = ["MAX_THUMBNAILS", "ThumbnailRule", "Thumbnails", "VideoClip", "VideoClips", "make_thumbnails"]
__all__ += ["thumbnail_rule"]


class VideoClip(NamedTuple):
    """A video file, or a segment of it."""

    path: str
    start_s: float | None = None
    end_s: float | None = None


class VideoClips:
    """Video files of questions; the annotations of a task are read once for all its variants."""

    def __init__(self) -> None:
        self._samples: dict[str, dict[str, Sample] | str] = {}

    def find(self, task: str, sample_id: str) -> VideoClip | str:
        """Return the video of a question, or the reason why there is none."""
        task = plain_name(task)
        if task not in self._samples:
            self._samples[task] = _samples_by_id(task)
        samples = self._samples[task]
        if isinstance(samples, str):
            return samples
        if (sample := samples.get(sample_id)) is None:
            return "the benchmark's local files do not have this question"
        if sample.video is None:
            return "no video: its images are in the benchmark's table"
        try:
            [part] = media_parts({"task": task}, sample)
        except QsvError as error:
            return str(error)
        return VideoClip(part["url"], part.get("start_time"), part.get("end_time"))


def _samples_by_id(task: str) -> dict[str, Sample] | str:
    """Return the samples of a task by id, or the reason why they are not available."""
    try:
        known = task_named(task)
    except KeyError:
        return "the location of the videos of lmms-eval's own tasks is not stored"
    try:
        with _offline():
            return {sample.id: sample for sample in known.benchmark.unchecked_samples(known.set_name)}
    except SetupError:
        # The error's message names folders of this machine, and the page is for others too.
        return "the benchmark's files are not on this machine: set QSV_DATA to their folder and make the page again"


@contextmanager
def _offline() -> Iterator[None]:
    """Keep the hub's client from the network: only what is in its cache is used."""
    from huggingface_hub import constants

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


MAX_THUMBNAILS: Final = 8
"""Limit of thumbnails of a video; the frames are subsampled evenly."""
_LONG_SIDE: Final = 160
"""Longer side of a thumbnail in pixels."""
_JPEG_QUALITY: Final = 60


@dataclass(frozen=True)
class ThumbnailRule(FrameRule):
    """A frame rule that takes at most `MAX_THUMBNAILS` of the given times, or of the frames that its base rule picks.

    The frame store does not tell it from its base rule, so it is read without a store. Names of data files are hashes
    of its fields.
    """

    times: tuple[float, ...] = ()
    """Times of the used frames in seconds, from the journal; empty if unknown."""

    def instants(
        self, video_fps: float, frame_count: int, start_s: float | None = None, end_s: float | None = None
    ) -> list[float]:
        """Return the times of the thumbnails in seconds."""
        times_s = list(self.times) or super().instants(video_fps, frame_count, start_s, end_s)
        return [times_s[index] for index in subsample(len(times_s), MAX_THUMBNAILS)]


def thumbnail_rule(protocol: Mapping[str, Any], used: FramesUsed | None) -> ThumbnailRule | str:
    """Return the rule for an answer's thumbnails, or the reason why its frames are unknown."""
    if used is not None and used.times_s:
        return ThumbnailRule(times=used.times_s)
    rule = (protocol.get("answers") or {}).get("frame_rule")
    if not isinstance(rule, Mapping):
        return "the frames that another model used are not stored"
    try:
        return ThumbnailRule(**rule)
    except (SetupError, TypeError) as error:
        return f"the run's frame rule cannot be read ({error})"


class Thumbnails(NamedTuple):
    """Data file of the thumbnails of a sample, or the reason why there is none."""

    key: str | None
    reason: str = ""


class _ThumbnailJob(NamedTuple):
    key: str
    clip: VideoClip
    rule: ThumbnailRule


def make_thumbnails(wanted: Sequence[tuple[VideoClip, ThumbnailRule]], files: DataFiles) -> list[Thumbnails]:
    """Write the thumbnails of video clips, each clip once, and return those of each.

    Files are named by the content of the video and the frames, so those of an earlier page are not made again.
    """
    jobs = [_job(clip, rule) for clip, rule in wanted]
    unique = {job.key: job for job in jobs if isinstance(job, _ThumbnailJob) and not files.has(job.key)}
    # Threads suffice, because decoders release the interpreter's lock.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        made = dict(zip(unique, pool.map(_read, unique.values()), strict=True))
    reasons = {key: value for key, value in made.items() if isinstance(value, str)}
    for key in made.keys() - reasons.keys():
        files.write(key, made[key])
    return [
        Thumbnails(None, job)
        if isinstance(job, str)
        else Thumbnails(None if job.key in reasons else job.key, reasons.get(job.key, ""))
        for job in jobs
    ]


def _job(clip: VideoClip, rule: ThumbnailRule) -> _ThumbnailJob | str:
    try:
        content = content_id(clip.path)
    except MediaError as error:
        return _reason(error)
    parts = (content, repr(asdict(rule)), repr(clip[1:]), f"{MAX_THUMBNAILS} of {_LONG_SIDE} pixels")
    return _ThumbnailJob(f"frames/{digest(*parts)}", clip, rule)


def _read(job: _ThumbnailJob) -> dict[str, Any] | str:
    try:
        info = probe_video(job.clip.path)
    except MediaError as error:
        return _reason(error)
    scale = _LONG_SIDE / max(info.width, info.height)
    height, width = max(1, round(info.height * scale)), max(1, round(info.width * scale))
    request = ClipRequest(job.rule, job.clip.start_s, job.clip.end_s)
    decoded, failure, *_ = run_read_job(ReadJob(job.clip.path, (request,)), ReadSettings((height, width), "fast"))
    if decoded is None:
        return _reason(failure) if isinstance(failure, MediaError) else f"the video cannot be read ({failure})"
    times = [round(time_s, 2) for time_s in decoded.timestamps_s]
    return {"times": times, "height": height, "width": width, "images": [_image(frame) for frame in decoded.frames]}


def _image(frame: Any) -> str:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _reason(error: MediaError) -> str:
    # Only the name of the path, because the page is for others too.
    detail = f", {error.detail}" if error.detail else ""
    return f"the video {Path(error.path).name} is {error.fault.value}{detail}"
