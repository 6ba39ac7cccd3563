"""Small pictures of the frames that a model saw, read again from the video by the run's own frame rule."""

import base64
import io
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from PIL import Image

from qsv_eval.leaderboard.naming import digest
from qsv_eval.leaderboard.page.looked import Looked
from qsv_eval.leaderboard.page.sidefiles import SideFiles
from qsv_eval.leaderboard.page.videos import Clip
from qsv_eval.model_adapters.errors import MediaError, SetupError
from qsv_eval.model_adapters.frames import FrameRule, identity, probe_video, thin
from qsv_eval.model_adapters.frames.footage import ClipRequest
from qsv_eval.model_adapters.frames.reading import ReadJob, ReadSettings, read

__all__ = ["MOST", "Seen", "make_thumbnails", "seen_by"]

MOST: Final = 8
"""Thumbnails of a video: so many of the frames that were looked at, evenly over them."""
_LONG_SIDE: Final = 160
_QUALITY: Final = 60


@dataclass(frozen=True)
class Seen(FrameRule):
    """Asks for a few of the frames that a rule picks, or of those that were really looked at."""

    times: tuple[float, ...] = ()
    """Seconds of the frames that were looked at, as the journal has them; empty where there is none."""

    def instants(
        self, video_fps: float, frame_count: int, start_s: float | None = None, end_s: float | None = None
    ) -> list[float]:
        """Return the seconds of at most `MOST` frames."""
        all_s = list(self.times) or super().instants(video_fps, frame_count, start_s, end_s)
        return [all_s[place] for place in thin(len(all_s), MOST)]


class _Job(NamedTuple):
    key: str
    clip: Clip
    seen: Seen


def seen_by(protocol: Mapping[str, Any], looked: Looked | None) -> Seen | str:
    """Return which frames a question's answer rests on, or why that is not known."""
    if looked is not None and looked.times_s:
        return Seen(times=looked.times_s)
    rule = (protocol.get("answers") or {}).get("frame_rule")
    if not isinstance(rule, Mapping):
        return "which frames another model looked at is not stored"
    try:
        return Seen(**rule)
    except (SetupError, TypeError) as error:
        return f"the run's frame rule cannot be read ({error})"


def make_thumbnails(wanted: Sequence[tuple[Clip, Seen]], files: SideFiles) -> list[tuple[str | None, str]]:
    """Write the thumbnails of videos, each once, and return for each its key, or None and why there are none.

    What an earlier page already had is not read again. Files are named by the video's content and the frames.
    """
    jobs = [_job(clip, seen) for clip, seen in wanted]
    unique = {job.key: job for job in jobs if isinstance(job, _Job) and not files.has(job.key)}
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


def _job(clip: Clip, seen: Seen) -> _Job | str:
    try:
        content = identity(clip.path)
    except MediaError as error:
        return _said(error)
    what = (content, repr(asdict(seen)), repr(clip[1:]), f"{MOST} of {_LONG_SIDE} pixels")
    return _Job(f"frames/{digest(*what)}", clip, seen)


def _read(job: _Job) -> dict[str, Any] | str:
    try:
        facts = probe_video(job.clip.path)
    except MediaError as error:
        return _said(error)
    scale = _LONG_SIDE / max(facts.width, facts.height)
    size = max(1, round(facts.height * scale)), max(1, round(facts.width * scale))
    request = ClipRequest(job.seen, job.clip.start_s, job.clip.end_s)
    footage, failure, *_ = read(ReadJob(job.clip.path, (request,)), ReadSettings(size, "fast"))
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
