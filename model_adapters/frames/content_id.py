"""Size check and content hash of a media file."""

import hashlib
from pathlib import Path

from qsv_eval.model_adapters.errors import MediaError, MediaFault

__all__ = ["content_id", "size_bytes"]

_BLOCK_BYTES = 1 << 20


def size_bytes(path: str | Path) -> int:
    """Return the size of a file in bytes; MediaError MISSING or EMPTY if there is none or it is empty."""
    file = Path(path)
    if not file.is_file():
        raise MediaError(path, MediaFault.MISSING, "a directory, not a file" if file.is_dir() else "")
    size = file.stat().st_size
    if size == 0:
        raise MediaError(path, MediaFault.EMPTY, "0 bytes")
    return size


def content_id(path: str | Path) -> str:
    """Return the hex sha256 of a file's size and of its first, middle and last MiB; up to 3 MiB, of the whole file.

    Caches and journals name media by this hash: unlike a modification time it survives copying to another machine,
    and unlike a hash of the whole file it is cheap for films. The ends hold the container's headers and index, which
    differ between any two encodes; the middle distinguishes files that are equal in both.
    """
    size = size_bytes(path)
    digest = hashlib.sha256(str(size).encode())
    with Path(path).open("rb") as file:
        if size <= 3 * _BLOCK_BYTES:
            digest.update(file.read())
        else:
            for offset in (0, (size - _BLOCK_BYTES) // 2, size - _BLOCK_BYTES):
                file.seek(offset)
                digest.update(file.read(_BLOCK_BYTES))
    return digest.hexdigest()
