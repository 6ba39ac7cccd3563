"""Index of a benchmark's media, whatever folders its archives were unpacked into.

Official layouts differ between the hub, the authors' zips and what lmms-eval unpacks, mostly in the folders above a
file. So all files below the benchmark's folders are listed once, and a wanted path is the file that agrees with it in
most of its last parts.
"""

import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple

__all__ = ["VIDEO_SUFFIXES", "MediaIndex"]

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".flv")

_SKIPPED = {".git", "__pycache__", ".cache"}


class _MediaMatch(NamedTuple):
    """A file or folder, the one to be preferred first."""

    root: int
    depth: int
    path: Path

    @classmethod
    def at(cls, root: int, path: Path) -> "_MediaMatch":
        return cls(root, len(path.parts), path)


class MediaIndex:
    """The files below some folders, found by the ends of their paths."""

    def __init__(self, roots: Iterable[Path]) -> None:
        self._roots = list(roots)

    def find(self, *wanted: str) -> Path | None:
        """Return the file that one of the `wanted` relative paths means, the earlier ones first; None if none does.

        A video's suffix may be another one than wanted (a `.webm` that was converted), its folders may be missing or
        more; at equal agreement the earlier root wins, then the shortest path, then the first by name.
        """
        for path in map(PurePosixPath, wanted):
            fitting = [found for found in self._by_stem.get(_stem(path.name), []) if _may_stand_for(found.path, path)]
            if fitting:
                return min(fitting, key=lambda found: (-_agreement(found.path, path.parts[:-1]), found)).path
        return None

    def expect(self, *wanted: str) -> Path:
        """Return what `find` returns, or else where the first was expected: whoever reads it will miss it."""
        return self.find(*wanted) or self._roots[0] / wanted[0]

    def folder(self, *wanted: str) -> Path | None:
        """Return the folder of frames that one of the relative paths means."""
        for path in map(PurePosixPath, wanted):
            found = self._folders.get(path.name, [])
            if fitting := [folder for folder in found if folder.path.parts[-2:-1] == path.parts[-2:-1]]:
                return min(fitting).path
        return None

    @cached_property
    def _by_stem(self) -> dict[str, list[_MediaMatch]]:
        found: dict[str, list[_MediaMatch]] = {}
        for root, folder, _, names in self._walk():
            for name in names:
                found.setdefault(_stem(name), []).append(_MediaMatch.at(root, Path(folder, name)))
        return found

    @cached_property
    def _folders(self) -> dict[str, list[_MediaMatch]]:
        found: dict[str, list[_MediaMatch]] = {}
        for root, folder, folders, _ in self._walk():
            for name in folders:
                found.setdefault(name, []).append(_MediaMatch.at(root, Path(folder, name)))
        return found

    def _walk(self) -> Iterator[tuple[int, str, list[str], list[str]]]:
        for number, root in enumerate(self._roots):
            for folder, folders, names in os.walk(root, followlinks=True):
                folders[:] = sorted(name for name in folders if name not in _SKIPPED)
                yield number, folder, folders, sorted(names)


def _stem(name: str) -> str:
    """Return a name without its suffix if that is a known one: video ids may hold dots."""
    path = PurePosixPath(name)
    return path.stem if path.suffix.lower() in (*VIDEO_SUFFIXES, ".srt", ".vtt") else name


def _may_stand_for(found: Path, wanted: PurePosixPath) -> bool:
    suffix, video = wanted.suffix.lower(), VIDEO_SUFFIXES
    return found.suffix.lower() in video if suffix in video else found.suffix.lower() == suffix


def _agreement(found: Path, parents: tuple[str, ...]) -> int:
    """Count how many folders agree, from the file upwards."""
    count = 0
    for own, other in zip(reversed(found.parts[:-1]), reversed(parents), strict=False):
        if own != other:
            break
        count += 1
    return count
