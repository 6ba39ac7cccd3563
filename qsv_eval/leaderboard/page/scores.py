"""What the page says of each score: as text, formatted as in the other tables, and as numbers to sort by."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from qsv_eval.leaderboard.page.shelf import Shelf
from qsv_eval.leaderboard.records import PUBLISHED
from qsv_eval.leaderboard.shown import formatted
from qsv_eval.leaderboard.text import natural
from qsv_eval.leaderboard.usage import Usage
from qsv_eval.scoring.outcome import Outcome

__all__ = ["score_entries"]


def score_entries(
    scores: pd.DataFrame,
    usage: Mapping[tuple[str, str], Usage],
    shelves: Mapping[tuple[str, str], Shelf],
) -> list[dict[str, Any]]:
    """Return the headline scores of the measured tasks, in the order of tasks, models and settings.

    Args:
        scores: all scores.
        usage: what the answers rest on, by results file and cell.
        shelves: the samples, by the same.
    """
    shown = scores[scores["shown"] & (scores["field"] == "")]
    measured = set(shown[shown["kind"] != PUBLISHED]["task"])
    shown = shown[shown["task"].isin(measured)]
    rows = sorted(
        shown.to_dict("records"), key=lambda row: (row["task"], natural(row["model"]), natural(row["setting"]))
    )
    entries = []
    for row in rows:
        place = row["file"], row["cell"]
        entry = _entry(row) | {"usage": _usage(usage.get(place))}
        shelf = shelves.get(place)
        entries.append(entry | {"shelf": None if shelf is None else shelf._asdict()})
    return entries


def _entry(row: Mapping[Any, Any]) -> dict[str, Any]:
    def number(name: str) -> Any:
        return None if pd.isna(row[name]) else row[name]

    def text(name: str) -> str:
        return "" if number(name) is None else formatted(row[name], row["scale"])

    counts = {outcome.value: number(outcome.value) for outcome in Outcome}
    names = ("model", "setting", "task", "kind", "scale", "average", "metric", "protocol", "file", "source", "note")
    return {
        **{name: row[name] for name in names},
        "value": number("value"),
        **{f"{name}_text": text(name) for name in ("value", "low", "high", "lowest", "highest", "micro", "macro")},
        "n": None if number("n") is None else int(row["n"]),
        "videos": None if number("clusters") is None else int(row["clusters"]),
        "outcomes": {name: int(count) for name, count in counts.items() if count is not None},
        "complete": number("complete"),
        "degraded": int(number("degraded") or 0),
        "unparsed_share": number("unparsed_share"),
    }


def _usage(usage: Usage | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    return {
        "frames": round(usage.frames, 1),
        "p5": round(usage.frames_p5),
        "p95": round(usage.frames_p95),
        "cubes": round(usage.cubes, 1),
        "tokens": round(usage.visual_tokens),
        "tokens_per_frame": None if usage.tokens_per_frame is None else round(usage.tokens_per_frame, 2),
        "seconds": round(usage.total_s, 3),
        "parts": {name: round(value, 4) for name, value in usage.seconds.items()},
        "decoding": round(usage.read_s, 4),
        "answers": usage.answers,
    }
