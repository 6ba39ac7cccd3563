"""Which weights answered: a hash over the whole content of a checkpoint's files.

Whole, because training may change a few tensors in the middle of a shard and nothing else, and an answer of the old
weights must never be served for the new ones. A large file is hashed once: what came out is kept in the user's cache,
under the file's place, size, time of change and inode.
"""

import hashlib
import json
import sys
from pathlib import Path

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.paths import cache_folder, whole

__all__ = ["checkpoint_fingerprint"]

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
    with whole(memo, many_writers=True) as draft:
        draft.write_text(found, "utf-8")
    return found
