"""The answer key: the hash of what moves a reply, and of nothing else (docs/design.md, decision 5).

Scoring choices are not in it, so a saved answer serves every extractor and judge.
"""

import ast
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from qsv_eval.model_adapters.engine.question import Question
from qsv_eval.model_adapters.frames import FrameRule, identity

__all__ = ["AnswerSettings", "answer_key", "model_code_version"]


@dataclass(frozen=True)
class AnswerSettings:
    """What moves every reply of a run."""

    checkpoint: str
    """Fingerprint of the checkpoint's files."""
    model_code: str
    """Version of our model and frame reading code."""
    dtype: str
    frame_rule: FrameRule
    reader: str
    resize: str

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return asdict(self)


def answer_key(settings: AnswerSettings, question: Question) -> str:
    """Return the key (32 hex digits) of a question's answer.

    Raises:
        MediaError: a file of the question is not there.
    """
    asked = {
        "settings": settings.as_dict(),
        "task": question.task,
        "doc_id": question.doc_id,
        "split": question.split,
        "repeat": question.repeat,
        "messages": [
            {"role": message["role"], "content": [_describe(part) for part in message["content"]]}
            for message in question.messages
        ],
        "generation": asdict(question.generation),
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]


def _describe(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message part with its media named by content."""
    return {key: _media_identity(value) if key in {"image", "video"} else value for key, value in part.items()}


def _media_identity(media: Any) -> str:
    if isinstance(media, str | Path):
        return _file_identity(str(media))
    pixels = hashlib.sha256(f"{media.mode} {media.size}".encode())
    pixels.update(media.tobytes())
    return pixels.hexdigest()


# Several questions stand on one file; one look at it will do.
_file_identity = lru_cache(maxsize=64)(identity)


@cache
def model_code_version() -> str:
    """Return a hash (12 hex digits) of the code between file and reply, blind to comments, docstrings and layout."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted([*package.glob("quicksviewer/*.py"), *package.glob("frames/*.py")]):
        digest.update(f"{path.name} {_code_of(path)}\n".encode())
    return digest.hexdigest()[:12]


def _code_of(path: Path) -> str:
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not _is_string(line)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_string(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)
