"""A shelf: the samples of one task of one run that the page shows, those that went wrong first."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import pandas as pd

from qsv_eval.leaderboard.naming import digest, file_name
from qsv_eval.leaderboard.page.sidefiles import SideFiles
from qsv_eval.leaderboard.page.thumbnails import Seen, make_thumbnails, seen_by
from qsv_eval.leaderboard.page.videos import Clip, Videos
from qsv_eval.leaderboard.page.words import shown, visible
from qsv_eval.model_adapters.engine.journal import Record, VideoUse
from qsv_eval.scoring.outcome import Outcome

__all__ = ["Shelf", "chosen_lines", "chosen_samples", "write_shelf"]

_FIRST: Final = (
    Outcome.WRONG,
    Outcome.UNPARSED,
    Outcome.EMPTY,
    Outcome.ERROR,
    Outcome.UNSCORED,
    Outcome.CORRECT,
)
"""The order in which samples are shown, and kept where there are more than are wanted."""
_RANKS: Final = {outcome.value: rank for rank, outcome in enumerate(_FIRST)}


class Shelf(NamedTuple):
    """What the page says of the samples of one task of one run."""

    key: str
    """Of the side file; empty where there is none."""
    samples: int
    left_out: int
    why: str = ""
    """Why there are none."""


def chosen_samples(samples: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return at most so many samples: wrong ones, then other failures, then right ones, each as in the file."""
    # lmms-eval's own tasks have no outcomes: by score, and what has none first.
    pairs = zip(samples["outcome"], samples["score"], strict=True)
    own = [_RANKS.get(outcome, 0 if pd.isna(score) else 1 + score) for outcome, score in pairs]
    order = pd.Series(own, index=samples.index, dtype="float64").sort_values(kind="stable").index
    return samples.loc[order[:most]]


def chosen_lines(outcomes: Sequence[str], most: int) -> set[int]:
    """Return the places of those that `chosen_samples` would choose, by their outcomes alone."""
    order = sorted(range(len(outcomes)), key=lambda place: _RANKS.get(outcomes[place], 0))
    return set(order[:most])


def write_shelf(
    place: tuple[str, str],
    samples: pd.DataFrame,
    total: int,
    records: Mapping[tuple[str, str], Record],
    protocol: Mapping[str, Any],
    videos: Videos,
    files: SideFiles,
) -> Shelf:
    """Write the chosen samples of a task of a run into a side file.

    Args:
        place: the results file's name and the task.
        samples: as `chosen_samples` returns them.
        total: how many there are in all.
        records: the journal's lines on them, by task and id.
        protocol: the record of the protocol.
        videos: where the videos are.
        files: where side files go.
    """
    file, task = place
    rows = samples.to_dict("records")
    known = [records.get((task, row["id"])) for row in rows]
    pictures = _pictures(task, [row["id"] for row in rows], known, protocol, videos, files)
    entries = [_entry(row, record, picture, files) for row, record, picture in zip(rows, known, pictures, strict=True)]
    key = files.write(f"samples/{file_name(task)}-{digest(file, task)}", {"samples": entries})
    return Shelf(key, len(entries), total - len(entries))


def _pictures(
    task: str,
    ids: Sequence[str],
    records: Sequence[Record | None],
    protocol: Mapping[str, Any],
    videos: Videos,
    files: SideFiles,
) -> list[tuple[str | None, str]]:
    """Return of each sample the key of its thumbnails, or None and why it has none."""
    found: list[tuple[str | None, str]] = []
    wanted: dict[int, tuple[Clip, Seen]] = {}
    for number, (sample_id, record) in enumerate(zip(ids, records, strict=True)):
        clip = videos.find(task, sample_id)
        seen = seen_by(protocol, record)
        trouble = next((one for one in (clip, seen) if isinstance(one, str)), "")
        found.append((None, visible(trouble)))
        if isinstance(clip, Clip) and isinstance(seen, Seen):
            wanted[number] = clip, seen
    for number, picture in zip(wanted, make_thumbnails(list(wanted.values()), files), strict=True):
        found[number] = picture
    return found


def _entry(
    row: Mapping[Any, Any], record: Record | None, picture: tuple[str | None, str], files: SideFiles
) -> dict[str, Any]:
    """Return a sample as the page reads it; what is empty is left out."""
    own = row["row"]
    groups = {visible(str(name)): _words(value) for name, value in (own.get("groups") or {}).items()}
    thumbnails, why = picture
    entry = {
        "id": visible(row["id"]),
        "video": visible(row["cluster"]),
        "outcome": row["outcome"],
        "score": None if pd.isna(row["score"]) else round(float(row["score"]), 4),
        "question": shown(row["question"], files),
        "options": [shown(str(option), files) for option in own.get("options") or ()],
        "answer": shown(row["answer"], files),
        "reply": shown(row["reply"], files),
        "extracted": own.get("extracted"),
        "rule": own.get("rule"),
        "reason": visible(str(own.get("reason") or "")),
        "verdicts": own.get("verdicts"),
        "groups": groups,
        "use": None if record is None else _use(record),
        "frames": thumbnails,
        "why": why,
    }
    return {name: value for name, value in entry.items() if value not in (None, "", [], {})} | {"id": entry["id"]}


def _words(value: object) -> list[str]:
    return [visible(str(one)) for one in value] if isinstance(value, list | tuple) else [visible(str(value))]


def _use(record: Record) -> dict[str, Any]:
    return {
        "videos": [_video(video) for video in record.videos],
        "tokens": record.visual_tokens,
        "prompt": record.prompt_tokens,
        "seconds": round(sum(record.seconds.values()), 3),
        "degraded": record.degraded,
    }


def _video(video: VideoUse) -> dict[str, Any]:
    """Return frames and cubes; a cube as its first frame, the number of its frames, and its seconds."""
    cubes = [[start, end - start, _rounded(start_s), _rounded(end_s)] for start, end, start_s, end_s in video.cubes]
    return {"frames": len(video.timestamps_s), "cubes": cubes, "lost": video.lost_frames}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
