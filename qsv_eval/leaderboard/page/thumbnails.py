"""Thumbnails of the frames that a model saw, read again from local videos by the run's own frame rule."""

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
from qsv_eval.leaderboard.page.data_files import SideFiles
from qsv_eval.leaderboard.page.read_run import FramesUsed
from qsv_eval.leaderboard.safe_text import digest
from qsv_eval.model_adapters.errors import MediaError, QsvError, SetupError
from qsv_eval.model_adapters.frames import FrameRule, content_id, probe_video, subsample
from qsv_eval.model_adapters.frames.decoded_frames import ClipRequest
from qsv_eval.model_adapters.frames.read_job import ReadJob, ReadSettings, run_read_job
from qsv_eval.model_adapters.variant_name import plain_name
from qsv_eval.tasks.media import media_parts
from qsv_eval.tasks.registry import task_named

__all__ = ["MOST", "ThumbnailFrames", "VideoClip", "VideoClips", "make_thumbnails", "seen_by"]


class VideoClip(NamedTuple):
    """A video file, or a stretch of it."""

    path: str
    start_s: float | None = None
    end_s: float | None = None


class VideoClips:
    """The videos of our tasks' questions. A task's annotations are read once, for all cells of a sweep."""

    def __init__(self) -> None:
        self._samples: dict[str, dict[str, Sample] | str] = {}

    def find(self, task: str, sample_id: str) -> VideoClip | str:
        """Return the video of a question, or why there is none."""
        task = plain_name(task)
        if task not in self._samples:
            self._samples[task] = _samples_of(task)
        samples = self._samples[task]
        if isinstance(samples, str):
            return samples
        if (sample := samples.get(sample_id)) is None:
            return "the benchmark's files at hand do not have this question"
        if sample.video is None:
            return "no video: its images are in the benchmark's table"
        try:
            [part] = media_parts({"task": task}, sample)
        except QsvError as error:
            return str(error)
        return VideoClip(part["url"], part.get("start_time"), part.get("end_time"))


def _samples_of(task: str) -> dict[str, Sample] | str:
    """Return a task's samples by id, or why they are not at hand."""
    try:
        known = task_named(task)
    except KeyError:
        return "where the videos of lmms-eval's own tasks are is not stored"
    try:
        with _offline():
            return {sample.id: sample for sample in known.benchmark.unchecked_samples(known.set_name)}
    except SetupError:
        # Its message names folders of this machine, and the page is for others too.
        return "the benchmark's files are not at hand: set QSV_DATA to their folder and make the page again"


@contextmanager
def _offline() -> Iterator[None]:
    """Keep the hub's client from the network meanwhile: what is in its cache is at hand, the rest is not."""
    from huggingface_hub import constants

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


MOST: Final = 8
"""Thumbnails of a video: so many of the frames that were looked at, evenly over them."""
_LONG_SIDE: Final = 160
_QUALITY: Final = 60


@dataclass(frozen=True)
class ThumbnailFrames(FrameRule):
    """Asks for a few of the frames that a rule picks, or of those that were really looked at."""

    times: tuple[float, ...] = ()
    """Seconds of the frames that were looked at, as the journal has them; empty where there is none."""

    def instants(
        self, video_fps: float, frame_count: int, start_s: float | None = None, end_s: float | None = None
    ) -> list[float]:
        """Return the seconds of at most `MOST` frames."""
        all_s = list(self.times) or super().instants(video_fps, frame_count, start_s, end_s)
        return [all_s[place] for place in subsample(len(all_s), MOST)]


class _ThumbnailJob(NamedTuple):
    key: str
    clip: VideoClip
    seen: ThumbnailFrames


def seen_by(protocol: Mapping[str, Any], looked: FramesUsed | None) -> ThumbnailFrames | str:
    """Return which frames a question's answer rests on, or why that is not known."""
    if looked is not None and looked.times_s:
        return ThumbnailFrames(times=looked.times_s)
    rule = (protocol.get("answers") or {}).get("frame_rule")
    if not isinstance(rule, Mapping):
        return "which frames another model looked at is not stored"
    try:
        return ThumbnailFrames(**rule)
    except (SetupError, TypeError) as error:
        return f"the run's frame rule cannot be read ({error})"


def make_thumbnails(
    wanted: Sequence[tuple[VideoClip, ThumbnailFrames]], files: SideFiles
) -> list[tuple[str | None, str]]:
    """Write the thumbnails of videos, each once, and return for each its key, or None and why there are none.

    What an earlier page already had is not read again. Files are named by the video's content and the frames.
    """
    jobs = [_job(clip, seen) for clip, seen in wanted]
    unique = {job.key: job for job in jobs if isinstance(job, _ThumbnailJob) and not files.has(job.key)}
    # Decoders let other threads run.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        made = dict(zip(unique, pool.map(_read, unique.values()), strict=True))
    for key, value in made.items():
        if not isinstance(value, str):
            files.write(key, value)
    failed = {key: value for key, value in made.items() if isinstance(value, str)}
    return [
        (None, job) if isinstance(job, str) else (None, failed[job.key]) if job.key in failed else (job.key, "")
        for job in jobs
    ]


def _job(clip: VideoClip, seen: ThumbnailFrames) -> _ThumbnailJob | str:
    try:
        content = content_id(clip.path)
    except MediaError as error:
        return _said(error)
    what = (content, repr(asdict(seen)), repr(clip[1:]), f"{MOST} of {_LONG_SIDE} pixels")
    return _ThumbnailJob(f"frames/{digest(*what)}", clip, seen)


def _read(job: _ThumbnailJob) -> dict[str, Any] | str:
    try:
        facts = probe_video(job.clip.path)
    except MediaError as error:
        return _said(error)
    scale = _LONG_SIDE / max(facts.width, facts.height)
    size = max(1, round(facts.height * scale)), max(1, round(facts.width * scale))
    request = ClipRequest(job.seen, job.clip.start_s, job.clip.end_s)
    footage, failure, *_ = run_read_job(ReadJob(job.clip.path, (request,)), ReadSettings(size, "fast"))
    if footage is None:
        return _said(failure) if isinstance(failure, MediaError) else f"the video cannot be read ({failure})"
    times = [round(time_s, 2) for time_s in footage.timestamps_s]
    return {"times": times, "height": size[0], "width": size[1], "images": [_picture(one) for one in footage.frames]}


def _picture(frame: Any) -> str:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _said(error: MediaError) -> str:
    # The page is for others too, so of the path only the name.
    detail = f", {error.detail}" if error.detail else ""
    return f"the video {Path(error.path).name} is {error.fault.value}{detail}"
