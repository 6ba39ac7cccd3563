"""Names of rows: models by hub id or folder, and settings by the fields in which protocols differ."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, Final, NamedTuple

from qsv_eval.protocol import differences

__all__ = ["ModelStatement", "differing_conditions", "model_names", "setting_names"]

_MAX_VALUE: Final = 40
"""Longer values, such as prompts, are replaced by a digest; in characters."""
_RUN_FIELDS: Final = ("environment.", "generation.")
"""Prefixes of protocol fields that belong to a run rather than to a task."""
_MODEL_FIELDS: Final = frozenset({"answers.checkpoint", "answers.model", "answers.model_code", "answers.pretrained"})
"""Fields that identify the model."""

Record = Mapping[str, Any]


class ModelStatement(NamedTuple):
    """Model of a run, as the run names it."""

    path: str
    """Hub id or path."""
    checkpoint: str
    """Fingerprint of the checkpoint's files; empty where unknown, as for other models."""


def model_names(runs: Sequence[ModelStatement]) -> list[str]:
    """Return a model name for each run, the same for equal checkpoints in different folders.

    A hub id stays as it is. A folder is named by its last part, and by more parts where that would be ambiguous:
    training ends in a folder `final`, so two of its stages would otherwise share a name.
    """
    names = [_last_parts(run.path, 1) for run in runs]
    for name in set(names):
        indices = [index for index, other in enumerate(names) if other == name]
        parts = 1
        while _is_ambiguous([runs[index] for index in indices], parts):
            parts += 1
        for index in indices:
            names[index] = _last_parts(runs[index].path, parts)
    return names


def _is_ambiguous(runs: Sequence[ModelStatement], parts: int) -> bool:
    """Return whether two checkpoints in different folders share a name of `parts` parts, and have more parts."""
    has_more = any(_last_parts(run.path, parts) != _last_parts(run.path, parts + 1) for run in runs)
    by_name: dict[str, set[ModelStatement]] = {}
    for run in runs:
        by_name.setdefault(_last_parts(run.path, parts), set()).add(run)
    return has_more and any(
        len({run.checkpoint for run in models}) > 1 and len({run.path for run in models}) > 1
        for models in by_name.values()
    )


def _last_parts(path: str, parts: int) -> str:
    is_hub_id = path.count("/") == 1 and not path.startswith((".", "/", "~"))
    return path if is_hub_id else "/".join(path.split("/")[-parts:])


def setting_names(protocols: Mapping[str, Record], stated: Set[str] = frozenset()) -> dict[str, str]:
    """Return the setting of each protocol of one model, such as "dtype=float32, max_frames=64".

    Answer settings (frames, fps, dtype) are compared between all protocols; prompts, scoring, generation settings and
    versions only between protocols of the same task. Where a run field differs within a task, the other tasks state
    their value too, so that one run stays one row.

    Args:
        protocols: records by their hashes.
        stated: fields that every setting states if it has them, even where they do not differ.

    Returns:
        The settings by the same hashes; empty strings where nothing differs and nothing is stated.
    """
    across = _differing_fields([{"answers": record["answers"]} for record in protocols.values()])
    by_task: dict[str, list[Record]] = {}
    for record in protocols.values():
        by_task.setdefault(record["task"], []).append(record)
    within = {task: _differing_fields(records) for task, records in by_task.items()}
    short = _short_names(across.union(stated, *within.values()))
    if_present = stated | {field for field in short if field.startswith(_RUN_FIELDS)}

    def name(record: Record) -> str:
        present = {field for field in if_present if _value_at(record, field) is not None}
        fields = sorted(across | within[record["task"]] | present)
        return ", ".join(f"{short[field]}={_value_text(_value_at(record, field))}" for field in fields)

    names = {digest: name(record) for digest, record in protocols.items()}
    counts = Counter((protocols[digest]["task"], setting) for digest, setting in names.items())
    return {
        # Protocols whose settings read the same (an option missing in one and null in the other) stay two rows.
        digest: setting if counts[protocols[digest]["task"], setting] == 1 else f"{setting} [{digest}]".strip()
        for digest, setting in names.items()
    }


def differing_conditions(records: Sequence[Record]) -> set[str]:
    """Return the protocol fields that every row must state because the models were run under different conditions.

    These are options that two models share with different values, and all options about frames if the models do not
    have the same ones. Options of one model only are left out, and so are prompts and scoring, which belong to tasks.
    """
    flat = [_flatten({"answers": record["answers"] or {}}) for record in records]
    values: dict[str, set[str]] = {}
    for answers in flat:
        for field, value in answers.items():
            values.setdefault(field, set()).add(json.dumps(value, sort_keys=True))
    differing = {field for field, texts in values.items() if len(texts) > 1} - _MODEL_FIELDS
    frame_fields = [set(filter(_is_about_frames, answers)) for answers in flat]
    return differing.union(*frame_fields) if any(fields != frame_fields[0] for fields in frame_fields) else differing


def _is_about_frames(field: str) -> bool:
    name = field.rpartition(".")[2]
    return name == "fps" or name.endswith(("frames", "frames_num"))


def _flatten(record: Record, prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in record.items():
        flat |= _flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _differing_fields(records: list[Record]) -> set[str]:
    """Return the dotted names of the fields in which any two records differ."""
    return {field for other in records[1:] for field in differences(records[0], other)}


def _short_names(fields: Iterable[str]) -> dict[str, str]:
    """Return the last part of each dotted name (before a final `.name`), or the whole name where that is ambiguous."""
    last = {field: field.removesuffix(".name").rpartition(".")[2] for field in fields}
    counts = Counter(last.values())
    return {field: name if counts[name] == 1 else field for field, name in last.items()}


def _value_at(record: Record, field: str) -> Any:
    value: Any = record
    for part in field.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _value_text(value: Any) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= _MAX_VALUE else hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]
