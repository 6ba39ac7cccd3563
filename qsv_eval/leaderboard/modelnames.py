"""What models are called: a hub id as it is, a folder by its last part, and by more of it where they would be alike.

Training ends in a folder `final`, so two stages of it would else be two rows of the same name.
"""

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Stated", "model_names"]


class Stated(NamedTuple):
    """What a run says of its model."""

    place: str
    """Hub id or path."""
    checkpoint: str
    """Fingerprint of its files; empty where it is not known, as of other models."""


def model_names(runs: Sequence[Stated]) -> list[str]:
    """Return a name for the model of each run: equal for equal checkpoints, wherever they lay."""
    names = [_short(run.place, 1) for run in runs]
    for name in set(names):
        mine = [number for number, other in enumerate(names) if other == name]
        parts = 1
        while _clash([runs[number] for number in mine], parts):
            parts += 1
        for number in mine:
            names[number] = _short(runs[number].place, parts)
    return names


def _clash(runs: Sequence[Stated], parts: int) -> bool:
    """Tell whether two checkpoints at different places would have the same name of so many parts of their paths."""
    longer = any(_short(run.place, parts) != _short(run.place, parts + 1) for run in runs)
    by_name: dict[str, set[Stated]] = {}
    for run in runs:
        by_name.setdefault(_short(run.place, parts), set()).add(run)
    return longer and any(
        len({run.checkpoint for run in those}) > 1 and len({run.place for run in those}) > 1
        for those in by_name.values()
    )


def _short(place: str, parts: int) -> str:
    is_id = place.count("/") == 1 and not place.startswith((".", "/", "~"))
    return place if is_id else "/".join(place.split("/")[-parts:])
