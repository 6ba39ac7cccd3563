"""Side files of the page: data as scripts, because a page that is opened from disk may load scripts and nothing else.

qsvData["samples/qsv_mvbench-1a2b3c"] = {…};
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.files import atomic_write

__all__ = ["FOLDER", "SideFiles", "as_json"]

FOLDER: Final = "page"
"""Name of the folder of side files beside the page."""

_NAMES: Final = "names.json"

# JSON is JavaScript but for these; and with the first three escaped no text can end the element that it stands in.
_ESCAPED: Final = str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"})


def as_json(value: Any) -> str:
    """Return a value as JSON that is safe within a script element too."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).translate(_ESCAPED)


class SideFiles:
    """The folder of side files: remembers what belongs to this page, so that the rest of an earlier one can go."""

    def __init__(self, output: Path) -> None:
        self._folder = output / FOLDER
        self._kept: set[Path] = set()
        self._earlier = _read_names(self._folder / _NAMES)
        self._names: dict[str, str] = {}

    def has(self, key: str) -> bool:
        """Tell whether a file whose key is a digest of its content is there already, and keep it."""
        path = self._path(key)
        if there := path.is_file():
            self._kept.add(path)
        return there

    def write(self, key: str, value: Any) -> str:
        """Write a value under a key, such as `samples/abc`, and return the key.

        Raises:
            SetupError: the folder cannot be written to.
        """
        path = self._path(key)
        try:
            text = f"qsvData[{as_json(key)}] = {as_json(value)};\n"
            with atomic_write(path) as draft:  # so one that is there and named by its content can be trusted
                draft.write_text(text, "utf-8", newline="\n")
        except OSError as error:
            raise SetupError(f"{path}: cannot be written ({error}); name another --output") from error
        self._kept.add(path)
        return key

    def remember(self, name: str, key: str) -> None:
        """Note under which name a later page may ask for a file, when it cannot work out the key itself."""
        self._names[name] = key

    def recall(self, name: str) -> str | None:
        """Return the key of the file that an earlier page noted under a name, if it is still there, and keep it."""
        key = self._earlier.get(name)
        if key is None or not self.has(key):
            return None
        self.remember(name, key)
        return key

    def finish(self) -> None:
        """Delete the side files of an earlier page that this one has no use for, and keep the names for a later one.

        Raises:
            SetupError: the folder cannot be written to.
        """
        for path in self._others():
            path.unlink()
        place = self._folder / _NAMES
        try:
            with atomic_write(place) as draft:
                draft.write_text(f"{json.dumps(self._names, indent=0, sort_keys=True)}\n", "utf-8", newline="\n")
        except OSError as error:
            raise SetupError(f"{place}: cannot be written ({error}); name another --output") from error

    def _others(self) -> Iterable[Path]:
        return [path for path in self._folder.glob("*/*.js") if path not in self._kept]

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.js"


def _read_names(place: Path) -> dict[str, str]:
    """Read what an earlier page noted; nothing where there is none that can be read, for it only saves work."""
    try:
        found = json.loads(place.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(key) for name, key in found.items()} if isinstance(found, dict) else {}
