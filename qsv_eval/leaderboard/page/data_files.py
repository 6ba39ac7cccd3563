"""Data files of the page: scripts, because a page that is opened from disk may load nothing else.

qsvData["samples/qsv_mvbench-1a2b3c"] = {…};
"""

import json
from pathlib import Path
from typing import Any, Final

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.files import atomic_write

__all__ = ["FOLDER", "DataFiles", "as_json"]

FOLDER: Final = "page"
"""Name of the folder of data files beside the page."""

_NAMES: Final = "names.json"

# All JSON without these is JavaScript, and without the first three no text can end its script element.
_ESCAPED: Final = str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"})


def as_json(value: Any) -> str:
    """Return a value as JSON that is safe within a script element."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).translate(_ESCAPED)


class DataFiles:
    """Folder of data files; those of an earlier page that this one does not use are deleted at the end."""

    def __init__(self, output: Path) -> None:
        self._folder = output / FOLDER
        self._kept: set[Path] = set()
        self._earlier = _read_names(self._folder / _NAMES)
        self._names: dict[str, str] = {}

    def has(self, key: str) -> bool:
        """Return whether a file exists, and keep it; its key must be a digest of its content."""
        path = self._path(key)
        if exists := path.is_file():
            self._kept.add(path)
        return exists

    def write(self, key: str, value: Any) -> str:
        """Write a value under a key, such as `samples/abc`, and return the key.

        Raises:
            SetupError: the folder cannot be written.
        """
        path = self._path(key)
        try:
            text = f"qsvData[{as_json(key)}] = {as_json(value)};\n"
            with atomic_write(path) as draft:  # so a file that exists is complete
                draft.write_text(text, "utf-8", newline="\n")
        except OSError as error:
            raise SetupError(f"{path}: cannot be written ({error}); name another --output") from error
        self._kept.add(path)
        return key

    def remember(self, name: str, key: str) -> None:
        """Store a name by which a later page can find a file whose key it cannot compute."""
        self._names[name] = key

    def recall(self, name: str) -> str | None:
        """Return the key of the file that an earlier page stored under a name, if it exists, and keep the file."""
        key = self._earlier.get(name)
        if key is None or not self.has(key):
            return None
        self.remember(name, key)
        return key

    def finish(self) -> None:
        """Delete unused data files of an earlier page, and store the names for a later one.

        Raises:
            SetupError: the folder cannot be written.
        """
        for path in list(self._folder.glob("*/*.js")):
            if path not in self._kept:
                path.unlink()
        names = self._folder / _NAMES
        try:
            with atomic_write(names) as draft:
                draft.write_text(f"{json.dumps(self._names, indent=0, sort_keys=True)}\n", "utf-8", newline="\n")
        except OSError as error:
            raise SetupError(f"{names}: cannot be written ({error}); name another --output") from error

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.js"


def _read_names(path: Path) -> dict[str, str]:
    """Return the names that an earlier page stored; empty if the file cannot be read, because names only save work."""
    try:
        names = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(key) for name, key in names.items()} if isinstance(names, dict) else {}
