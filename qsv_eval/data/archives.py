"""Unpacking of zips and tars, split tars included: resumable, checked, and never outside of the target folder.

Files are written atomically, so after an interruption only missing files are written. Reading a zip's member to its end
checks its checksum.
"""

import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, NamedTuple

from tqdm import tqdm

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.files import atomic_write

__all__ = ["Archive", "find_archives", "unpack"]

_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz")


class Archive(NamedTuple):
    """Archive in one file or in several parts."""

    name: str
    """Path below the searched folder, without the suffix of a part."""
    files: tuple[Path, ...]

    @property
    def state(self) -> list[list[int]]:
        """Size and modification time of each file, to recognise another download."""
        return [[file.stat().st_size, file.stat().st_mtime_ns] for file in self.files]


def find_archives(folder: Path) -> list[Archive]:
    """Return the archives below a folder; `x.tar.part-aa`, `x.tar.part-ab` … are one."""
    parts: dict[str, list[Path]] = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        stem, part, _ = file.name.partition(".part")
        if stem.lower().endswith(_ENDINGS) and (part or stem == file.name):
            parts.setdefault(str(file.relative_to(folder).with_name(stem)), []).append(file)
    return [Archive(name, tuple(files)) for name, files in parts.items()]


def unpack(archive: Archive, target: Path) -> int:
    """Unpack an archive into a folder; return the number of files written, without those that existed.

    Raises:
        SetupError: the archive is damaged, or a member's path is outside of the folder.
    """
    target.mkdir(parents=True, exist_ok=True)
    try:
        members = _zip_members if archive.name.lower().endswith(".zip") else _tar_members
        return sum(_write(member, target, archive) for member in members(archive))
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
        raise SetupError(f"{archive.files[0]}: cannot be unpacked ({error}). Download it again.") from error


class _ArchiveMember(NamedTuple):
    name: str
    size: int
    open: Any
    """Function that returns a stream of the content."""


def _zip_members(archive: Archive) -> Iterator[_ArchiveMember]:
    if len(archive.files) > 1:
        raise SetupError(
            f"{archive.files[0]}: zips in parts are not supported; join them with `cat` or `zip -s 0` first"
        )
    with zipfile.ZipFile(archive.files[0]) as file:
        for info in tqdm(file.infolist(), f"unpacking {archive.name}", leave=False):
            if not info.is_dir():
                yield _ArchiveMember(info.filename, info.file_size, lambda info=info: file.open(info))


def _tar_members(archive: Archive) -> Iterator[_ArchiveMember]:
    with ExitStack() as stack:
        joined = _JoinedFiles([stack.enter_context(part.open("rb")) for part in archive.files])
        with tarfile.open(fileobj=joined, mode="r|*") as file:  # type: ignore[call-overload]
            for info in tqdm(file, f"unpacking {archive.name}", leave=False):
                if info.isfile():
                    yield _ArchiveMember(info.name, info.size, lambda info=info: file.extractfile(info))
                elif not info.isdir():
                    raise SetupError(f"{archive.files[0]}: {info.name} is a link or a device, which is not unpacked")


class _JoinedFiles:
    """Stream of several files one after the other."""

    def __init__(self, files: Sequence[IO[bytes]]) -> None:
        self._files = list(files)

    def read(self, size: int) -> bytes:
        while self._files:
            if block := self._files[0].read(size):
                return block
            self._files.pop(0)
        return b""


def _write(member: _ArchiveMember, target: Path, archive: Archive) -> bool:
    """Write a member; return False if it is already there."""
    path = target / member.name
    if not path.resolve().is_relative_to(target.resolve()):
        raise SetupError(f"{archive.files[0]}: {member.name} is outside of {target}, so it is not unpacked")
    if path.is_file() and path.stat().st_size == member.size:
        return False
    with atomic_write(path) as draft:
        with member.open() as source, draft.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
        if draft.stat().st_size != member.size:
            raise EOFError(f"{member.name} has {draft.stat().st_size} of {member.size} bytes")
    return True
