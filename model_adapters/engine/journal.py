"""The journal: every answer is on disk the moment it exists, so that no run is ever lost.

A folder of append-only JSON-lines files, one for each process that wrote to it. A process writes its `Assignment`, then
a `Record` for each answer, and last a `ProcessEnd`; a file without an end belongs to a process that is running or was
killed. A record is on disk (fsync) when `append` returns; a torn last line is ignored. Any later run, with any number
of processes, reads all files.
"""

import io
import json
import logging
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonlines
from pydantic import ValidationError

from qsv_eval.model_adapters.engine.records import (
    AnswerStatus,
    Assignment,
    ExitReason,
    ProcessEnd,
    ProcessLog,
    Record,
    SampleKey,
)
from qsv_eval.model_adapters.errors import SetupError

__all__ = ["Journal", "read_logs"]

_log = logging.getLogger(__name__)


def read_logs(folder: Path) -> list[ProcessLog]:
    """Read all files of a journal, oldest first; lines that cannot be read are ignored."""
    return [_read_log(path) for path in sorted(folder.glob("*.jsonl"))]


def _read_log(path: Path) -> ProcessLog:
    log = ProcessLog(path, [], [], None)
    # As bytes, so that a damaged line does not make the whole file unreadable as text.
    with path.open("rb") as file, jsonlines.Reader(file) as lines:
        for line in lines.iter(type=dict, skip_invalid=True):
            match _parse(line):
                case Record() as record:
                    log.records.append(record)
                case Assignment() as assignment:
                    log.shares.append(assignment)
                case ProcessEnd() as end:
                    log = log._replace(end=end)
    return log


def _parse(line: dict[str, Any]) -> Record | Assignment | ProcessEnd | None:
    try:
        if "share" in line:
            return Assignment.model_validate(line["share"])
        return ProcessEnd.model_validate(line["end"]) if "end" in line else Record.model_validate(line)
    except ValidationError:
        return None


class Journal:
    """The answers in a folder. Failures are recorded too, but a later run tries them again."""

    def __init__(self, folder: str | Path, *, accept_degraded: bool = False) -> None:
        """Read the answers of earlier runs; degraded ones (fewer frames than requested) only if `accept_degraded`."""
        self.folder = Path(folder).expanduser()
        self._accept_degraded = accept_degraded
        self._file: io.FileIO | None = None
        self._path = self.folder
        self._answers: dict[str, Record] = {}
        self._versions: dict[SampleKey, str] = {}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for log in read_logs(self.folder):
                for record in log.records:
                    self._remember(record)
                    if record.fate is AnswerStatus.ANSWERED:
                        self._versions[record.sample_key] = log.reply_version
        except OSError as error:
            raise SetupError(
                f"{error.filename}: the journal cannot be kept or read there ({error.strerror}); choose another folder"
            ) from error

    def __len__(self) -> int:
        return len(self._answers)

    def records(self) -> Iterator[Record]:
        """Read all records of all files, oldest file first."""
        for log in read_logs(self.folder):
            yield from log.records

    def answer(self, key: str) -> Record | None:
        """Return the answer with this key, if there is one."""
        return self._answers.get(key)

    def version_of(self, sample: SampleKey) -> str | None:
        """Return the reply version of the newest answer to a sample from an earlier run, whatever its settings."""
        return self._versions.get(sample)

    def begin(self, assignment: Assignment) -> None:
        """Write the requests that this process is going to answer."""
        process = {"host": socket.gethostname(), "pid": os.getpid(), "started_at": _now()}
        self._write({"share": assignment.model_copy(update=process).model_dump(mode="json")})

    def append(self, record: Record) -> Record:
        """Write a record through to the disk and return it with its time of writing."""
        stamped = record.model_copy(update={"written_at": _now()})
        self._write(stamped.model_dump(mode="json"))
        self._remember(stamped)
        return stamped

    def end(self, how: ExitReason, reason: str = "") -> None:
        """Write how this process ended and close its file; does nothing without a file or the second time.

        A failed write is only logged, so that it does not hide the reason of the end.
        """
        if self._file is not None:
            try:
                self._write({"end": ProcessEnd(how=how, reason=reason, at=_now()).model_dump(mode="json")})
            except SetupError as error:
                _log.warning("%s", error)
            finally:
                self._file.close()
                self._file = None

    def _remember(self, record: Record) -> None:
        if record.fate is not AnswerStatus.ANSWERED or (record.degraded and not self._accept_degraded):
            return
        known = self._answers.get(record.key)
        if known is None or known.degraded or not record.degraded:
            self._answers[record.key] = record

    def _write(self, line: dict[str, Any]) -> None:
        file = self._open() if self._file is None else self._file
        length = file.tell()
        try:
            rest = memoryview(_encode(line))
            while rest:  # a disk that is nearly full takes only a part
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError as error:
            _truncate(file, length)
            raise SetupError(
                f"{self._path}: the journal could not be written ({error.strerror}); what was written before is safe. "
                "Make room and give the same command again"
            ) from error

    def _open(self) -> io.FileIO:
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        self._path = self.folder / f"{now}-{socket.gethostname()}-{os.getpid()}.jsonl"
        try:
            self._file = self._path.open("wb", buffering=0)
        except OSError as error:
            raise SetupError(
                f"{self._path}: the journal cannot be written ({error.strerror}); choose another folder"
            ) from error
        return self._file


def _encode(line: dict[str, Any]) -> bytes:
    text = io.BytesIO()
    # ASCII, so that a torn line never ends within a character.
    jsonlines.Writer(text, dumps=json.dumps).write(line)
    return text.getvalue()


def _truncate(file: io.FileIO, length: int) -> None:
    """Remove a half-written line if the disk allows it; readers ignore one that stays."""
    try:
        file.truncate(length)
        file.seek(length)
    except OSError:
        return


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
