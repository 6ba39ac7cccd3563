"""The long table: each score with its interval, outcomes, frames and protocol in columns of their own."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from qsv_eval.leaderboard.records import PUBLISHED
from qsv_eval.scoring.outcome import Outcome

__all__ = ["BEHIND", "behind_rows"]

BEHIND: Final = (
    ("model", "name"),
    ("task", "word"),
    ("score", "number"),
    ("95 % interval", "number"),
    ("n", "number"),
    *((outcome.value, "number") for outcome in Outcome),
    ("frames used", "number"),
    ("tokens a frame", "number"),
    ("s a question", "number"),
    ("protocol", "word"),
)
"""The columns and what is in them; the last one opens the score."""

_NOTHING: Final = ("number", "", "")


def behind_rows(scores: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each measured score: its number, and cells as (kind, value to sort by or None, text)."""
    return [
        {
            "model": score["model"],
            "setting": score["setting"],
            "score": number,
            "protocol": score["protocol"][:8] or "open",
            "cells": _cells(score),
        }
        for number, score in enumerate(scores)
        if score["kind"] != PUBLISHED
    ]


def _cells(score: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    interval = f"{score['low_text']} to {score['high_text']}" if score["low_text"] else ""
    usage = score["usage"] or {}
    frames = usage.get("frames")
    spread = f" ({usage['p5']} to {usage['p95']})" if usage else ""
    outcomes = score["outcomes"]
    return [
        ("word", None, score["task"]),
        ("number", "" if score["value"] is None else score["value"], score["value_text"]),
        ("number", score["low_text"], interval),
        _counted(score["n"]),
        *(_counted(outcomes.get(outcome.value)) for outcome in Outcome),
        _NOTHING if frames is None else ("number", frames, f"{frames:.1f}{spread}"),
        _counted(usage.get("tokens_per_frame"), ".2f"),
        _counted(usage.get("seconds"), ".3f"),
    ]


def _counted(number: float | None, digits: str = "") -> tuple[str, Any, str]:
    return _NOTHING if number is None else ("number", number, format(number, digits))
