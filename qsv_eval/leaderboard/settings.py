"""What the runs of one model differ in: the name of a row beside the model's."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from qsv_eval.protocol import differences

__all__ = ["setting_names"]

_LONGEST: Final = 40
"""A value with more characters, such as a prompt, is named by a digest."""
_OF_RUN: Final = ("environment.", "generation.")
"""Parts of a protocol that a run has, and not a task."""

Record = Mapping[str, Any]


def setting_names(protocols: Mapping[str, Record]) -> dict[str, str]:
    """Name the setting of each of one model's protocols, as in "dtype=float32, max_frames=64".

    What the model answers with (frames, fps, dtype …) is told apart between all of them; prompts, scoring, generation
    settings and versions, which each task has of its own, only between those of the same task. Where such a difference
    is in how the model ran, the other tasks say what they ran with too, so that one run stays one row.

    Args:
        protocols: records by their hashes.

    Returns:
        The names by the same hashes; empty where nothing differs.
    """
    across = _differing([{"answers": record["answers"]} for record in protocols.values()])
    by_task: dict[str, list[Record]] = {}
    for record in protocols.values():
        by_task.setdefault(record["task"], []).append(record)
    within = {task: _differing(records) for task, records in by_task.items()}
    short = _short_names(across.union(*within.values()))
    ran_with = {field for field in short if field.startswith(_OF_RUN)}

    def name(record: Record) -> str:
        own = across | within[record["task"]] | {field for field in ran_with if _at(record, field) is not None}
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
    """Call a field by its last part, where that says which it is."""
    last = {field: field.rpartition(".")[2] for field in fields}
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
