"""The protocol: a frozen record, with a hash, of all settings that affect a score (docs/design.md, decision 7).

Scores are comparable where their protocols are equal; `differences` lists where two protocols differ.
"""

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

__all__ = ["Protocol", "ScoringSettings", "differences", "library_versions"]

_LIBRARIES = ("qsv-eval", "lmms-eval", "torch", "transformers", "accelerate", "av", "pillow", "numpy")


@dataclass(frozen=True)
class ScoringSettings:
    """Settings that turn replies into a score."""

    extractor: str
    """Name and version of what reads the answer out of a reply."""
    average: str
    """Average of samples that gives the headline."""
    judge: str | None = None
    """The judge model, for answers that no rule can score."""


@dataclass(frozen=True)
class Protocol:
    """Settings that affect the score of one task."""

    task: str
    prompt: str
    """The prompt with the sample's fields as {names}."""
    generation: Mapping[str, Any]
    """The task's generation settings."""
    answers: Mapping[str, Any] | None
    """Settings that move every reply: checkpoint, dtype, frame rule, reader, resize, model code; None for others."""
    scoring: ScoringSettings
    environment: Mapping[str, str]
    """Versions of Python and the libraries, device and attention."""

    def as_dict(self) -> dict[str, Any]:
        """Return the record as plain values, its hash first."""
        return {"hash": self.hash, **asdict(self)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Protocol":
        """Return the protocol of a stored record; its hash is computed anew."""
        plain = {name: value for name, value in record.items() if name != "hash"}
        return cls(**plain | {"scoring": ScoringSettings(**record["scoring"])})

    @property
    def hash(self) -> str:
        """Hash (16 hex digits) of the whole record."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


def library_versions() -> dict[str, str]:
    """Return the versions of what lies between a file and a score; a library that is not installed is left out."""
    versions = {"python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return versions


def differences(one: Mapping[str, Any], other: Mapping[str, Any], at: str = "") -> dict[str, tuple[Any, Any]]:
    """Return where two protocol records differ: dotted field → (value of one, value of the other)."""
    found: dict[str, tuple[Any, Any]] = {}
    for name in sorted({*one, *other} - {"hash"}):
        left, right = one.get(name), other.get(name)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            found |= differences(left, right, f"{at}{name}.")
        elif left != right:
            found[f"{at}{name}"] = (left, right)
    return found
