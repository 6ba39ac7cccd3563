"""Size and content id of media files."""

import hashlib
from pathlib import Path

from qsv_eval.model_adapters.errors import MediaError, MediaFault

__all__ = ["identity", "size_bytes"]

_BLOCK_BYTES = 1 << 20


def size_bytes(path: str | Path) -> int:
    """Size of a file that has content; MediaError MISSING or EMPTY otherwise."""
    file = Path(path)
    if not file.is_file():
        raise MediaError(path, MediaFault.MISSING, "a directory, not a file" if file.is_dir() else "")
    size = file.stat().st_size
    if size == 0:
        raise MediaError(path, MediaFault.EMPTY, "0 bytes")
    return size


def identity(path: str | Path) -> str:
    """Hex sha256 of the file's size and of its first, middle and last MiB.

    It names the content for caches and journals, so it must survive copying to another machine, which a
    modification time does not; and it must be cheap for a folder of films, which a hash of everything is not. The
    ends hold the container's headers and index, which differ between any two encodes; the middle tells apart files
    that are alike in both. A file up to 3 MiB is hashed whole.
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
