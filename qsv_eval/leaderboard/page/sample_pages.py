"""Sample pages: the samples of one task of one run, in a data file of their own."""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any, NamedTuple

from qsv_eval.leaderboard.page.data_files import DataFiles
from qsv_eval.leaderboard.page.read_run import FramesUsed, SelectedSamples
from qsv_eval.leaderboard.page.text import page_text, visible, visible_json
from qsv_eval.leaderboard.page.thumbnails import (
    ThumbnailRule,
    Thumbnails,
    VideoClip,
    VideoClips,
    make_thumbnails,
    thumbnail_rule,
)
from qsv_eval.leaderboard.safe_text import digest, file_name

__all__ = ["SamplePage", "write_sample_page"]


class SamplePage(NamedTuple):
    """Data file of the samples of one task of one run, as the page's script reads it."""

    key: str
    """Key of the data file; empty if there is none."""
    samples: int
    left_out: int
    why: str = ""
    """Reason why there are no samples."""


def write_sample_page(
    score_key: tuple[str, str],
    selected: SelectedSamples,
    frames: Mapping[tuple[str, str], FramesUsed],
    protocol: Mapping[str, Any],
    videos: VideoClips,
    files: DataFiles,
) -> SamplePage:
    """Write the selected samples of a task of a run into a data file.

    Args:
        score_key: names of the results file and the task.
        selected: samples to show.
        frames: frames of the answers, by task and sample id.
        protocol: protocol record of the run.
        videos: index of video files.
        files: folder of data files.
    """
    file, task = score_key
    samples = selected.samples
    used = [frames.get((task, sample["id"])) for sample in samples]
    thumbnails = _thumbnails(score_key, [sample["id"] for sample in samples], used, protocol, videos, files)
    entries = [_entry(*values, files) for values in zip(samples, used, thumbnails, strict=True)]
    key = files.write(f"samples/{file_name(task)}-{digest(file, task)}", {"samples": entries})
    return SamplePage(key, len(entries), selected.total - len(entries))


def _thumbnails(
    score_key: tuple[str, str],
    ids: Sequence[str],
    frames: Sequence[FramesUsed | None],
    protocol: Mapping[str, Any],
    videos: VideoClips,
    files: DataFiles,
) -> list[Thumbnails]:
    """Return the thumbnails of each sample."""
    thumbnails: list[Thumbnails] = []
    jobs: dict[int, tuple[VideoClip, ThumbnailRule]] = {}
    names = [digest(*score_key, sample_id) for sample_id in ids]
    for index, (sample_id, used) in enumerate(zip(ids, frames, strict=True)):
        clip = videos.find(score_key[1], sample_id)
        rule = thumbnail_rule(protocol, used)
        reason = next((value for value in (clip, rule) if isinstance(value, str)), "")
        # An earlier page may have the thumbnails, made on a machine that has the videos.
        key = files.recall(names[index]) if isinstance(clip, str) else None
        thumbnails.append(Thumbnails(key, "" if key else visible(reason)))
        if isinstance(clip, VideoClip) and isinstance(rule, ThumbnailRule):
            jobs[index] = clip, rule
    for index, made in zip(jobs, make_thumbnails(list(jobs.values()), files), strict=True):
        thumbnails[index] = made
        if made.key is not None:
            files.remember(names[index], made.key)
    return thumbnails


def _entry(
    sample: Mapping[str, Any], used: FramesUsed | None, thumbnails: Thumbnails, files: DataFiles
) -> dict[str, Any]:
    """Return a sample as the page's script reads it, without empty fields."""
    row = sample["row"]
    extracted = row.get("extracted")
    entry = {
        "id": visible(sample["id"]),
        "video": visible(sample["cluster"]),
        "outcome": visible(sample["outcome"]),
        "score": _score(sample["score"]),
        "question": page_text(sample["question"], files),
        "options": [page_text(str(option), files) for option in row.get("options") or ()],
        "answer": page_text(sample["answer"], files),
        "reply": page_text(sample["reply"], files),
        # For an open question the whole reply.
        "extracted": None if extracted is None else page_text(str(extracted), files),
        "rule": visible(str(row.get("rule") or "")),
        "reason": visible(str(row.get("reason") or "")),
        "verdicts": visible_json(row.get("verdicts")),
        "groups": {visible(str(name)): _group_names(value) for name, value in (row.get("groups") or {}).items()},
        "use": None if used is None else used.use,
        "frames": thumbnails.key,
        "why": thumbnails.reason,
    }
    return {name: value for name, value in entry.items() if value not in (None, "", [], {})} | {"id": entry["id"]}


def _group_names(value: object) -> list[str]:
    return [visible(str(name)) for name in value] if isinstance(value, list | tuple) else [visible(str(value))]


def _score(score: float | None) -> float | None:
    return None if score is None or isnan(score) else round(float(score), 4)
