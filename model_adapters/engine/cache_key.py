"""The answer key: a hash of everything that changes a reply, and of nothing else (docs/design.md, decision 5).

Scoring is not part of it, so a saved answer serves every extractor and judge. The checkpoint is part of it with the
whole content of its files: training may change a few tensors in the middle of a shard, and answers of the old weights
must never be served for the new ones.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.engine.request import ImageInMemory, Request
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.files import atomic_write, cache_folder
from qsv_eval.model_adapters.frames import FrameRule
from qsv_eval.model_adapters.variant_name import plain_name

__all__ = ["REPLY_VERSION", "AnswerSettings", "answer_key", "checkpoint_fingerprint"]

REPLY_VERSION: Final = "b7a71e9d9f6f"
"""Version of the code between media file and reply: frame reading, perception, prompt, generation, subtitles.

Change it when, and only when, replies may change: then all requests are answered again. The golden outputs in
`tests/test_golden.py` show whether a change of the code changes replies. Any text that was not used before will do.
"""


@dataclass(frozen=True)
class AnswerSettings:
    """Settings that change every reply of a run."""

    checkpoint: str
    """Fingerprint of the checkpoint's files."""
    model_code: str
    """`REPLY_VERSION` of the code that answers."""
    dtype: str
    frame_rule: FrameRule
    cube_rule: CubeRule
    reader: str
    resize: str

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return asdict(self)


def answer_key(settings: AnswerSettings, request: Request, content_ids: Mapping[str, str]) -> str:
    """Return the key (32 hex digits) of a request's answer; `content_ids` holds the content id of each file by path.

    The frame rule and the cube rule are the request's: those of its task, or else the model's.
    """
    model = {name: value for name, value in settings.as_dict().items() if name not in ("frame_rule", "cube_rule")}
    content = {
        "settings": model,
        "frame_rule": asdict(request.rule),
        "cube_rule": asdict(request.cube_rule),
        # Without a variant's settings: they are among the other values, whichever of them its name states.
        "task": plain_name(request.task),
        "doc_id": request.doc_id,
        "split": request.split,
        "repeat": request.repeat,
        "messages": [
            {"role": message["role"], "content": [_describe(part, content_ids) for part in message["content"]]}
            for message in request.messages
        ],
        "generation": asdict(request.generation),
        "kind": request.kind,
        "continuation": request.continuation,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _describe(part: Mapping[str, Any], content_ids: Mapping[str, str]) -> dict[str, Any]:
    """Return a message part with content ids in place of its media."""
    kind = part["type"]
    if kind == "text":
        return dict(part)
    media = part[kind]
    ids = {kind: media.digest if isinstance(media, ImageInMemory) else content_ids[media]}
    if "subtitles" in part:
        ids["subtitles"] = content_ids[part["subtitles"]]
    return {**part, **ids}


_CHECKPOINT_FILES = (
    *("*.safetensors", "pytorch_model*.bin", "adapter_model*.bin", "*.index.json", "*config.json"),
    *("vision_tower/config.json", "tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json"),
    *("added_tokens.json", "chat_template*"),
)
_LARGE_BYTES = 64 << 20


def checkpoint_fingerprint(pretrained: str, revision: str | None = None, subfolder: str = "") -> str:
    """Return a hash (16 hex digits) of a checkpoint's files, and for an adapter of its base model's files too.

    A copy in another folder has the same fingerprint. Other files in the folder, such as results, do not count.
    """
    folder = _local_folder(pretrained, revision, subfolder)
    digest = hashlib.sha256()
    files = {path for pattern in _CHECKPOINT_FILES for path in folder.glob(pattern) if path.is_file()}
    for path in sorted(files):
        digest.update(f"{path.relative_to(folder)} {_content_hash(path)}\n".encode())
    adapter = folder / "adapter_config.json"
    if adapter.is_file() and not (folder / "config.json").is_file():
        base = json.loads(adapter.read_text("utf-8"))
        digest.update(checkpoint_fingerprint(base["base_model_name_or_path"], base.get("revision")).encode())
    return digest.hexdigest()[:16]


def _local_folder(pretrained: str, revision: str | None, subfolder: str) -> Path:
    """Return a checkpoint's folder; for a hub id, its snapshot in the local cache of the hub."""
    if Path(pretrained).is_dir():
        return Path(pretrained, subfolder)
    from transformers.utils import cached_file

    for name in ("config.json", "adapter_config.json"):
        path = cached_file(
            pretrained, name, revision=revision, subfolder=subfolder, _raise_exceptions_for_missing_entries=False
        )
        if path:
            return Path(path).parent
    raise SetupError(
        f"{pretrained}: no config.json or adapter_config.json there; give the folder or hub id of a checkpoint"
    )


def _content_hash(path: Path) -> str:
    """Return the SHA-256 of a file; that of a large file is cached by path, size, time of change and inode."""
    stat = path.stat()
    if stat.st_size < _LARGE_BYTES:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    state = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns} {stat.st_ino}"
    cached = cache_folder("hashes", hashlib.sha256(state.encode()).hexdigest())
    if cached.is_file():
        return cached.read_text("utf-8")
    print(f"Hashing {path.name}, {stat.st_size / 1e9:.1f} GB (once)", file=sys.stderr, flush=True)
    with path.open("rb") as file:
        content_hash = hashlib.file_digest(file, "sha256").hexdigest()
    with atomic_write(cached, many_writers=True) as draft:
        draft.write_text(content_hash, "utf-8")
    return content_hash
