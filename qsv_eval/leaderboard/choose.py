"""Which of several scores of the same model by the same protocol stands in the tables."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

__all__ = ["Headline", "chosen"]


class Headline(NamedTuple):
    """What a choice is made by. Better ones sort later, by the first five."""

    answered: int
    """Questions with a score, where outcomes say so; else all that were asked."""
    n: int
    """Questions asked."""
    is_scored: bool
    """Whether it has a value."""
    date: str
    file: str
    cell: str
    """The task's name in it."""
    model: str
    protocol: str
    """Its hash."""


def chosen(headlines: Iterable[Headline], protocols: Mapping[str, Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Return file and cell of one score for each model and protocol: of the most answers, and of those the newest.

    A score that still waits for a judge gives way to any that has had one.
    """
    best: dict[tuple[str, str], Headline] = {}
    for one in sorted(headlines):
        best[one.model, one.protocol] = one
    judged = {(one.model, _before_judging(protocols[one.protocol])) for one in best.values() if one.is_scored}
    return {
        (one.file, one.cell)
        for one in best.values()
        if one.is_scored or (one.model, _before_judging(protocols[one.protocol])) not in judged
    }


def _before_judging(record: Mapping[str, Any]) -> str:
    """Return all of a protocol but its hash and judge."""
    plain = {name: value for name, value in record.items() if name != "hash"}
    return json.dumps(plain | {"scoring": {**record["scoring"], "judge": None}}, sort_keys=True)
