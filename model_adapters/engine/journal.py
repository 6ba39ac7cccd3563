"""The journal: every answer on disk the moment it exists, so that no run is ever lost.

A folder of append-only JSON-lines files, one for each process that wrote to it. A record is on the disk (fsync) when
`append` returns; a torn last line, of a process that was killed while writing, is passed over. Any later run, with any
number of processes, reads all files.
"""

import os
import socket
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

import jsonlines
from pydantic import BaseModel, ValidationError

from qsv_eval.model_adapters.errors import SetupError

__all__ = ["Fate", "Journal", "Record"]


class Fate(StrEnum):
    """What became of a question."""

    ANSWERED = "answered"
    FAILED = "failed"


class VideoUse(BaseModel):
    """What was looked at in one video."""

    timestamps_s: list[float]
    """Instants of the frames."""
    cubes: list[tuple[int, int, float | None, float | None]]
    """(start frame, end frame, start s, end s), half-open, without the thumbnail."""
    lost_frames: int = 0
    """Frames that were wanted and could not be decoded."""


class Record(BaseModel):
    """One line of the journal."""

    key: str
    """The answer key; empty where the question or its media could not even be named."""
    task: str
    doc_id: int | str
    split: str
    repeat: int
    sample_id: str
    fate: Fate
    text: str = ""
    """The reply, up to the first stop string."""
    reason: str = ""
    """Why it failed."""
    videos: list[VideoUse] = []
    prompt_tokens: int = 0
    """Tokens that the language model read, visual tokens included."""
    new_tokens: int = 0
    read_s: float = 0.0
    """Seconds spent on reading this question's media."""
    answer_s: float = 0.0
    """Seconds spent on answering it; of a batch, its share."""
    environment: str = ""
    """Libraries, device and attention that it was answered with."""
    written_at: str = ""


class Journal:
    """The answers in a folder. Failures are kept as records, but are asked again."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._file: TextIO | None = None
        self._answers: dict[str, Record] = {}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SetupError(f"{self.folder}: the journal cannot be kept there ({error.strerror})") from error
        for record in self.records():
            if record.fate is Fate.ANSWERED:
                self._answers[record.key] = record

    def __len__(self) -> int:
        return len(self._answers)

    def records(self) -> list[Record]:
        """Read all records of all files, oldest file first; lines that are no records are passed over."""
        found: list[Record] = []
        for path in sorted(self.folder.glob("*.jsonl")):
            with jsonlines.open(path) as lines:
                found.extend(record for line in lines.iter(type=dict, skip_invalid=True) if (record := _parse(line)))
        return found

    def answer(self, key: str) -> Record | None:
        """Return the answer with this key, if there is one."""
        return self._answers.get(key)

    def append(self, record: Record) -> Record:
        """Write a record through to the disk and return it as written."""
        if self._file is None:
            now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
            path = self.folder / f"{now}-{socket.gethostname()}-{os.getpid()}.jsonl"
            self._file = path.open("w", encoding="utf-8")
        stamped = record.model_copy(update={"written_at": datetime.now(UTC).isoformat(timespec="milliseconds")})
        jsonlines.Writer(self._file, flush=True).write(stamped.model_dump(mode="json"))
        os.fsync(self._file.fileno())
        if record.fate is Fate.ANSWERED:
            self._answers[record.key] = stamped
        return stamped

    def close(self) -> None:
        """Close this process's file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _parse(line: dict[str, Any]) -> Record | None:
    try:
        return Record.model_validate(line)
    except ValidationError:
        return None
