"""A shelf: the samples of one task of one run that the page shows, in a side file."""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any, NamedTuple

from qsv_eval.leaderboard.page.data_files import SideFiles
from qsv_eval.leaderboard.page.read_run import FramesUsed, SelectedSamples
from qsv_eval.leaderboard.page.text import shown, visible, visibly
from qsv_eval.leaderboard.page.thumbnails import ThumbnailFrames, VideoClip, VideoClips, make_thumbnails, seen_by
from qsv_eval.leaderboard.safe_text import digest, file_name

__all__ = ["SamplePage", "write_sample_page"]


class SamplePage(NamedTuple):
    """Samples of one task of one run, in a data file of their own."""

    key: str
    """Key of the data file; empty where there is none."""
    samples: int
    left_out: int
    why: str = ""
    """Why there are none."""


def write_sample_page(
    place: tuple[str, str],
    chosen: SelectedSamples,
    records: Mapping[tuple[str, str], FramesUsed],
    protocol: Mapping[str, Any],
    videos: VideoClips,
    files: SideFiles,
) -> SamplePage:
    """Write the chosen samples of a task of a run into a side file.

    Args:
        place: the results file's name and the task.
        chosen: what the page shows of its samples.
        records: the journal's lines on them, by task and id.
        protocol: the record of the protocol.
        videos: where the videos are.
        files: where side files go.
    """
    file, task = place
    rows = chosen.samples
    known = [records.get((task, row["id"])) for row in rows]
    pictures = _pictures(place, [row["id"] for row in rows], known, protocol, videos, files)
    entries = [_entry(row, record, picture, files) for row, record, picture in zip(rows, known, pictures, strict=True)]
    key = files.write(f"samples/{file_name(task)}-{digest(file, task)}", {"samples": entries})
    return SamplePage(key, len(entries), chosen.total - len(entries))


def _pictures(
    place: tuple[str, str],
    ids: Sequence[str],
    records: Sequence[FramesUsed | None],
    protocol: Mapping[str, Any],
    videos: VideoClips,
    files: SideFiles,
) -> list[tuple[str | None, str]]:
    """Return of each sample the key of its thumbnails, or None and why it has none."""
    found: list[tuple[str | None, str]] = []
    wanted: dict[int, tuple[VideoClip, ThumbnailFrames]] = {}
    names = [digest(*place, sample_id) for sample_id in ids]
    for number, (sample_id, record) in enumerate(zip(ids, records, strict=True)):
        clip = videos.find(place[1], sample_id)
        seen = seen_by(protocol, record)
        trouble = next((one for one in (clip, seen) if isinstance(one, str)), "")
        # Where the videos are not, an earlier page, made where they are, may have them.
        key = files.recall(names[number]) if isinstance(clip, str) else None
        found.append((key, "" if key else visible(trouble)))
        if isinstance(clip, VideoClip) and isinstance(seen, ThumbnailFrames):
            wanted[number] = clip, seen
    for number, picture in zip(wanted, make_thumbnails(list(wanted.values()), files), strict=True):
        found[number] = picture
        if picture[0] is not None:
            files.remember(names[number], picture[0])
    return found


def _entry(
    row: Mapping[str, Any], record: FramesUsed | None, picture: tuple[str | None, str], files: SideFiles
) -> dict[str, Any]:
    """Return a sample as the page reads it; what is empty is left out."""
    own = row["row"]
    extracted = own.get("extracted")
    groups = {visible(str(name)): _words(value) for name, value in (own.get("groups") or {}).items()}
    thumbnails, why = picture
    entry = {
        "id": visible(row["id"]),
        "video": visible(row["cluster"]),
        "outcome": visible(row["outcome"]),
        "score": _score(row["score"]),
        "question": shown(row["question"], files),
        "options": [shown(str(option), files) for option in own.get("options") or ()],
        "answer": shown(row["answer"], files),
        "reply": shown(row["reply"], files),
        # Of an open answer it is the whole reply.
        "extracted": None if extracted is None else shown(str(extracted), files),
        "rule": visible(str(own.get("rule") or "")),
        "reason": visible(str(own.get("reason") or "")),
        "verdicts": visibly(own.get("verdicts")),
        "groups": groups,
        "use": None if record is None else record.use,
        "frames": thumbnails,
        "why": why,
    }
    return {name: value for name, value in entry.items() if value not in (None, "", [], {})} | {"id": entry["id"]}


def _words(value: object) -> list[str]:
    return [visible(str(one)) for one in value] if isinstance(value, list | tuple) else [visible(str(value))]


def _score(score: float | None) -> float | None:
    return None if score is None or isnan(score) else round(float(score), 4)
