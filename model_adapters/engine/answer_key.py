"""The answer key: the hash of everything that moves a reply, and of nothing else (DESIGN decision 5).

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
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.frames import FrameRule, identity

__all__ = ["AnswerSettings", "answer_key", "checkpoint_fingerprint", "model_code_version"]


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


_CHECKPOINT_FILES = (
    *("*.safetensors", "*.bin", "*.index.json", "*config.json", "vision_tower/config.json", "token*", "vocab*"),
    *("merges.txt", "special_tokens_map.json", "added_tokens.json", "chat_template*"),
)


def checkpoint_fingerprint(pretrained: str, revision: str | None = None, subfolder: str = "") -> str:
    """Return a hash (16 hex digits) over the files of a checkpoint and, of an adapter, of its base.

    Files are named by content (`frames.identity`), so a copy elsewhere has the same fingerprint and other files beside
    them, such as results, do not count.
    """
    folder = _local_folder(pretrained, revision, subfolder)
    digest = hashlib.sha256()
    for path in sorted({path for pattern in _CHECKPOINT_FILES for path in folder.glob(pattern) if path.stat().st_size}):
        digest.update(f"{path.relative_to(folder)} {identity(path)}\n".encode())
    adapter = folder / "adapter_config.json"
    if adapter.is_file():
        digest.update(checkpoint_fingerprint(json.loads(adapter.read_text())["base_model_name_or_path"]).encode())
    return digest.hexdigest()[:16]


def _local_folder(pretrained: str, revision: str | None, subfolder: str) -> Path:
    """Return the folder of a checkpoint; of a hub id its snapshot in the cache, where it lies once it was loaded."""
    if Path(pretrained).is_dir():
        return Path(pretrained, subfolder)
    from transformers.utils import cached_file

    for name in ("config.json", "adapter_config.json"):
        found = cached_file(
            pretrained, name, revision=revision, subfolder=subfolder, _raise_exceptions_for_missing_entries=False
        )
        if found:
            return Path(found).parent
    raise SetupError(f"{pretrained}: has neither config.json nor adapter_config.json")


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
