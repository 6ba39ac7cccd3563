"""Labels of rows: names of models, and the settings in which runs of one model differ.

A model is named by its hub id, a checkpoint folder by its last part, and by more of its path where two would be alike:
training ends in a folder `final`, so two stages would else be two rows of the same name.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, Final, NamedTuple

from qsv_eval.protocol import differences

__all__ = ["ModelStatement", "model_names", "setting_names", "unlike_conditions"]


_LONGEST: Final = 40
"""A value with more characters, such as a prompt, is named by a digest."""
_OF_RUN: Final = ("environment.", "generation.")
"""Parts of a protocol that a run has, and not a task."""
_OF_MODEL: Final = frozenset({"answers.checkpoint", "answers.model", "answers.model_code", "answers.pretrained"})
"""Fields that say which model it is."""

Record = Mapping[str, Any]


def unlike_conditions(records: Sequence[Record]) -> set[str]:
    """Return the fields that every row must state, because models were asked under unlike conditions.

    Those are options that two have in common, at different values, and the frames that each saw where they have no
    words in common for them. What else is particular to one model is its own affair, and prompts and scoring are the
    tasks'.
    """
    flat = [_flat({"answers": record["answers"] or {}}) for record in records]
    values: dict[str, set[str]] = {}
    for one in flat:
        for field, value in one.items():
            values.setdefault(field, set()).add(json.dumps(value, sort_keys=True))
    unlike = {field for field, those in values.items() if len(those) > 1} - _OF_MODEL
    frames = [set(filter(_is_of_frames, one)) for one in flat]
    return unlike.union(*frames) if any(one != frames[0] for one in frames) else unlike


def _is_of_frames(field: str) -> bool:
    name = field.rpartition(".")[2]
    return name == "fps" or name.endswith(("frames", "frames_num"))


def _flat(record: Mapping[str, Any], at: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in record.items():
        flat |= _flat(value, f"{at}{name}.") if isinstance(value, Mapping) else {f"{at}{name}": value}
    return flat


def setting_names(protocols: Mapping[str, Record], stated: Set[str] = frozenset()) -> dict[str, str]:
    """Name the setting of each of one model's protocols, as in "dtype=float32, max_frames=64".

    What the model answers with (frames, fps, dtype …) is told apart between all of them; prompts, scoring, generation
    settings and versions, which each task has of its own, only between those of the same task. Where such a difference
    is in how the model ran, the other tasks say what they ran with too, so that one run stays one row.

    Args:
        protocols: records by their hashes.
        stated: fields that each states if it has them, whether they differ or not.

    Returns:
        The names by the same hashes; empty where nothing differs and nothing is stated.
    """
    across = _differing([{"answers": record["answers"]} for record in protocols.values()])
    by_task: dict[str, list[Record]] = {}
    for record in protocols.values():
        by_task.setdefault(record["task"], []).append(record)
    within = {task: _differing(records) for task, records in by_task.items()}
    short = _short_names(across.union(stated, *within.values()))
    also = stated | {field for field in short if field.startswith(_OF_RUN)}

    def name(record: Record) -> str:
        own = across | within[record["task"]] | {field for field in also if _at(record, field) is not None}
        return ", ".join(f"{short[field]}={_shown(_at(record, field))}" for field in sorted(own))

    names = {digest: name(record) for digest, record in protocols.items()}
    taken = Counter((protocols[digest]["task"], said) for digest, said in names.items())
    return {
        # Two that read the same (an option that is missing in one and null in the other) are still two.
        digest: said if taken[protocols[digest]["task"], said] == 1 else f"{said} [{digest}]".strip()
        for digest, said in names.items()
    }


def _differing(records: list[Record]) -> set[str]:
    """Return the dotted names of the fields in which any two records differ."""
    return {field for other in records[1:] for field in differences(records[0], other)}


def _short_names(fields: Iterable[str]) -> dict[str, str]:
    """Call a field by its last part, where that says which it is; what is called `name` by what it is the name of."""
    last = {field: field.removesuffix(".name").rpartition(".")[2] for field in fields}
    often = list(last.values())
    return {field: name if often.count(name) == 1 else field for field, name in last.items()}


def _at(record: Record, field: str) -> Any:
    value: Any = record
    for part in field.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= _LONGEST else hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]


class ModelStatement(NamedTuple):
    """Model of a run, as its results file states it."""

    place: str
    """Hub id or path."""
    checkpoint: str
    """Fingerprint of its files; empty where it is not known, as of other models."""


def model_names(runs: Sequence[ModelStatement]) -> list[str]:
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


def _clash(runs: Sequence[ModelStatement], parts: int) -> bool:
    """Tell whether two checkpoints at different places would have the same name of so many parts of their paths."""
    longer = any(_short(run.place, parts) != _short(run.place, parts + 1) for run in runs)
    by_name: dict[str, set[ModelStatement]] = {}
    for run in runs:
        by_name.setdefault(_short(run.place, parts), set()).add(run)
    return longer and any(
        len({run.checkpoint for run in those}) > 1 and len({run.place for run in those}) > 1
        for those in by_name.values()
    )


def _short(place: str, parts: int) -> str:
    is_id = place.count("/") == 1 and not place.startswith((".", "/", "~"))
    return place if is_id else "/".join(place.split("/")[-parts:])
