"""Search for a benchmark's media, independent of the folders into which its archives were unpacked.

The hub, the authors' zips and lmms-eval differ mostly in the folders above a file. So all files are listed once, and a
path is resolved to the file with which it has most of its last parts in common.
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
    """File or folder; sorts by preference."""

    root: int
    depth: int
    path: Path

    @classmethod
    def at(cls, root: int, path: Path) -> "_MediaMatch":
        return cls(root, len(path.parts), path)


class MediaIndex:
    """Index of the files below some folders by the ends of their paths."""

    def __init__(self, roots: Iterable[Path]) -> None:
        self._roots = list(roots)

    def find(self, *wanted: str) -> Path | None:
        """Return the best match of the first of the `wanted` relative paths that has any; None if none has.

        A video may have another video suffix (a converted `.webm`) and other folders. Of equal matches the earlier root
        wins, then the shorter path, then the first by name.
        """
        for path in map(PurePosixPath, wanted):
            matches = [match for match in self._by_stem.get(_stem(path.name), []) if _same_kind(match.path, path)]
            if matches:
                return min(matches, key=lambda match: (-_common_parents(match.path, path.parts[:-1]), match)).path
        return None

    def expect(self, *wanted: str) -> Path:
        """Return the file that `find` returns, or else the expected path, whose reader will report it missing."""
        return self.find(*wanted) or self._roots[0] / wanted[0]

    def folder(self, *wanted: str) -> Path | None:
        """Return the folder with the name and parent of one of the `wanted` relative paths; None if there is none."""
        for path in map(PurePosixPath, wanted):
            folders = self._folders.get(path.name, [])
            if matches := [folder for folder in folders if folder.path.parts[-2:-1] == path.parts[-2:-1]]:
                return min(matches).path
        return None

    @cached_property
    def _by_stem(self) -> dict[str, list[_MediaMatch]]:
        matches: dict[str, list[_MediaMatch]] = {}
        for root, folder, _, names in self._walk():
            for name in names:
                matches.setdefault(_stem(name), []).append(_MediaMatch.at(root, Path(folder, name)))
        return matches

    @cached_property
    def _folders(self) -> dict[str, list[_MediaMatch]]:
        matches: dict[str, list[_MediaMatch]] = {}
        for root, folder, folders, _ in self._walk():
            for name in folders:
                matches.setdefault(name, []).append(_MediaMatch.at(root, Path(folder, name)))
        return matches

    def _walk(self) -> Iterator[tuple[int, str, list[str], list[str]]]:
        for index, root in enumerate(self._roots):
            for folder, folders, names in os.walk(root, followlinks=True):
                folders[:] = sorted(name for name in folders if name not in _SKIPPED)
                yield index, folder, folders, sorted(names)


def _stem(name: str) -> str:
    """Return a name without a known media suffix; video ids may have dots."""
    path = PurePosixPath(name)
    return path.stem if path.suffix.lower() in (*VIDEO_SUFFIXES, ".srt", ".vtt") else name


def _same_kind(path: Path, wanted: PurePosixPath) -> bool:
    """Return whether both are videos or have the same suffix."""
    suffixes = path.suffix.lower(), wanted.suffix.lower()
    return suffixes[0] == suffixes[1] or set(suffixes) <= set(VIDEO_SUFFIXES)


def _common_parents(path: Path, parents: tuple[str, ...]) -> int:
    """Count the equal folders from the file upwards."""
    count = 0
    for parent, other in zip(reversed(path.parts[:-1]), reversed(parents), strict=False):
        if parent != other:
            break
        count += 1
    return count
