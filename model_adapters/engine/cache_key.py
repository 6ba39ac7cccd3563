"""The answer key: the hash of what moves a reply, and of nothing else (docs/design.md, decision 5).

Scoring choices are not in it, so a saved answer serves every extractor and judge.
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

# MERGED DOCSTRINGS, to be worked into the one above:
# Which weights answered: a hash over the whole content of a checkpoint's files.
#
# Whole, because training may change a few tensors in the middle of a shard and nothing else, and an answer of the old
# weights must never be served for the new ones. A large file is hashed once: what came out is kept in the user's cache,
# under the file's place, size, time of change and inode.

REPLY_VERSION: Final = "b7a71e9d9f6f"
"""Version of the code between media file and reply: frame reading, perception, prompt, generation, subtitles.

It changes when, and only when, replies may change: then every recorded answer is asked again. The golden outputs in
`tests/test_golden.py` show whether a change of the code moves replies. Any text that was not used before will do.
"""


@dataclass(frozen=True)
class AnswerSettings:
    """What moves every reply of a run."""

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


def answer_key(settings: AnswerSettings, question: Request, identities: Mapping[str, str]) -> str:
    """Return the key (32 hex digits) of a question's answer; `identities` names the content of each file by its path.

    The rules for frames and cubes are the question's own: what its task says, or else the model's.
    """
    model = {name: value for name, value in settings.as_dict().items() if name not in ("frame_rule", "cube_rule")}
    asked = {
        "settings": model,
        "frame_rule": asdict(question.rule),
        "cube_rule": asdict(question.cube_rule),
        # Of a sweep's cell not the settings: they are in what follows, whichever of them the sweep names.
        "task": plain_name(question.task),
        "doc_id": question.doc_id,
        "split": question.split,
        "repeat": question.repeat,
        "messages": [
            {"role": message["role"], "content": [_describe(part, identities) for part in message["content"]]}
            for message in question.messages
        ],
        "generation": asdict(question.generation),
        "kind": question.kind,
        "continuation": question.continuation,
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]


def _describe(part: Mapping[str, Any], identities: Mapping[str, str]) -> dict[str, Any]:
    """Return a message part with its media named by content."""
    kind = part["type"]
    if kind == "text":
        return dict(part)
    media = part[kind]
    named = {kind: media.digest if isinstance(media, ImageInMemory) else identities[media]}
    if "subtitles" in part:
        named["subtitles"] = identities[part["subtitles"]]
    return {**part, **named}


_CHECKPOINT_FILES = (
    *("*.safetensors", "pytorch_model*.bin", "adapter_model*.bin", "*.index.json", "*config.json"),
    *("vision_tower/config.json", "tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json"),
    *("added_tokens.json", "chat_template*"),
)
_LARGE_BYTES = 64 << 20


def checkpoint_fingerprint(pretrained: str, revision: str | None = None, subfolder: str = "") -> str:
    """Return a hash (16 hex digits) over the files of a checkpoint and, of an adapter, of its base.

    A copy elsewhere has the same fingerprint, and other files beside them, such as results, do not count.
    """
    folder = _local_folder(pretrained, revision, subfolder)
    digest = hashlib.sha256()
    found = {path for pattern in _CHECKPOINT_FILES for path in folder.glob(pattern) if path.is_file()}
    for path in sorted(found):
        digest.update(f"{path.relative_to(folder)} {_content_hash(path)}\n".encode())
    adapter = folder / "adapter_config.json"
    if adapter.is_file() and not (folder / "config.json").is_file():
        base = json.loads(adapter.read_text("utf-8"))
        digest.update(checkpoint_fingerprint(base["base_model_name_or_path"], base.get("revision")).encode())
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


def _content_hash(path: Path) -> str:
    stat = path.stat()
    if stat.st_size < _LARGE_BYTES:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    state = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns} {stat.st_ino}"
    memo = cache_folder("hashes", hashlib.sha256(state.encode()).hexdigest())
    if memo.is_file():
        return memo.read_text("utf-8")
    print(f"Hashing {path.name}, {stat.st_size / 1e9:.1f} GB (once)", file=sys.stderr, flush=True)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    with atomic_write(memo, many_writers=True) as draft:
        draft.write_text(found, "utf-8")
    return found
