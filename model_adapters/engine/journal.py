"""The journal: every answer on disk the moment it exists, so that no run is ever lost.

A folder of append-only JSON-lines files, one for each process that wrote to it. A process first writes its
`Assignment` (the questions it is going to ask), then a `Record` for each answer, and last a `ProcessEnd`; a file
without an end belongs to a process that is running or was killed. A record is on the disk (fsync) when `append`
returns; a torn last line is passed over. Any later run, with any number of processes, reads all files.
"""

import io
import json
import logging
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

import jsonlines
from pydantic import BaseModel, ValidationError

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.variant_name import plain_name

__all__ = [
    "AnswerStatus",
    "Assignment",
    "ExitReason",
    "Journal",
    "ProcessEnd",
    "ProcessLog",
    "Record",
    "SampleKey",
    "TaskTotal",
    "VideoUse",
    "read_logs",
]

_log = logging.getLogger(__name__)

FIRST_REPLY_VERSION: Final = "b7a71e9d9f6f"
"""Version of the answers in journals that do not state one."""


class AnswerStatus(StrEnum):
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


class SampleKey(NamedTuple):
    """Identity of a sample of a benchmark, whatever settings it is asked with."""

    task: str
    """Name of the task, without the settings of a sweep."""
    split: str
    doc_id: int | str
    repeat: int

    @classmethod
    def of(cls, task: str, split: str, doc_id: int | str, repeat: int) -> "SampleKey":
        """Name a sample; a cell of a sweep has the samples of its task."""
        return cls(plain_name(task), split, doc_id, repeat)


class Record(BaseModel):
    """One line of the journal: what became of one question."""

    key: str
    """The answer key; empty where the question or its media could not even be named."""
    task: str
    doc_id: int | str
    split: str
    repeat: int
    sample_id: str
    fate: AnswerStatus
    text: str = ""
    """The reply, up to the first stop string; of several rounds the last."""
    rounds: list[str] = []
    """The replies of a conversation that its task leads over several rounds."""
    loss: float | None = None
    """Of a continuation that was scored instead: its mean negative log-likelihood in nats a token."""
    is_greedy: bool | None = None
    """Whether the scored continuation is what the model itself would have said."""
    reason: str = ""
    """Why it failed."""
    degraded: bool = False
    """Whether memory ran out and fewer frames were looked at than were asked for; `videos` says which."""
    videos: list[VideoUse] = []
    prompt_tokens: int = 0
    """Tokens that the language model read, visual tokens included."""
    visual_tokens: int = 0
    new_tokens: int = 0
    seconds: dict[str, float] = {}
    """Wall time on the answering thread by stage; what several questions share is divided evenly among them."""
    read_s: float = 0.0
    """Seconds that reading its media took, in the background; likewise divided."""
    peak_bytes: int = 0
    """Most memory in use while it was answered: of the accelerator, or else of this process so far."""
    environment: str = ""
    """Libraries, device and attention that it was answered with."""
    written_at: str = ""

    @property
    def sample_key(self) -> SampleKey:
        """The sample that was answered."""
        return SampleKey.of(self.task, self.split, self.doc_id, self.repeat)


class TaskTotal(BaseModel):
    """How many different questions of a task a run has, over all processes."""

    total: int
    known: int
    """Answered by an earlier run."""


class Assignment(BaseModel):
    """What one process is going to ask: written before the first answer, so that a dead process's gaps have names."""

    run: str
    """The same in all processes of a run."""
    rank: int
    world_size: int
    host: str = ""
    pid: int = 0
    started_at: str = ""
    reply_version: str = FIRST_REPLY_VERSION
    """`REPLY_VERSION` of the code that answers."""
    totals: dict[str, TaskTotal] = {}
    questions: list[tuple[str, str, str]] = []
    """(task, sample id, answer key) of each question of this share."""
    renamed: list[tuple[str, str, str]] = []
    """The same of each question that this process brought and whose answer stands in the journal under another task's
    name: that of a cell of an earlier sweep which named other axes, and came to the same."""


class ExitReason(StrEnum):
    """How a process came to its end."""

    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


class ProcessEnd(BaseModel):
    """The last line of a process that could still write one."""

    how: ExitReason
    reason: str = ""
    at: str = ""


class ProcessLog(NamedTuple):
    """Everything that one process wrote."""

    path: Path
    shares: list[Assignment]
    """One for each kind of request; empty if the process died before it knew its share."""
    records: list[Record]
    end: ProcessEnd | None

    @property
    def reply_version(self) -> str:
        """Version of the code that wrote the answers."""
        return self.shares[0].reply_version if self.shares else FIRST_REPLY_VERSION


def read_logs(folder: Path) -> list[ProcessLog]:
    """Read all files of a journal, oldest first; lines that cannot be read are passed over."""
    return [_read_log(path) for path in sorted(folder.glob("*.jsonl"))]


def _read_log(path: Path) -> ProcessLog:
    log = ProcessLog(path, [], [], None)
    # As bytes, so that no damage makes the file unreadable as text.
    with path.open("rb") as file, jsonlines.Reader(file) as lines:
        for line in lines.iter(type=dict, skip_invalid=True):
            match _parse(line):
                case Record() as record:
                    log.records.append(record)
                case Assignment() as share:
                    log.shares.append(share)
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
    """The answers in a folder. Failures are kept as records, but are asked again."""

    def __init__(self, folder: str | Path, *, accept_degraded: bool = False) -> None:
        """Read what is there. Answers that rest on fewer frames than asked for count only if `accept_degraded`."""
        self.folder = Path(folder).expanduser()
        self._accept_degraded = accept_degraded
        self._file: io.FileIO | None = None
        self._path = self.folder
        self._answers: dict[str, Record] = {}
        self._versions: dict[SampleKey, str] = {}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SetupError(f"{self.folder}: the journal cannot be kept there ({error.strerror})") from error
        try:
            for log in read_logs(self.folder):
                for record in log.records:
                    self._remember(record)
                    if record.fate is AnswerStatus.ANSWERED:
                        self._versions[record.sample_key] = log.reply_version
        except OSError as error:
            raise SetupError(f"{error.filename}: this part of the journal cannot be read ({error.strerror})") from error

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
        """Return the reply version of the newest answer that was here for this sample, under whatever settings."""
        return self._versions.get(sample)

    def begin(self, share: Assignment) -> None:
        """Write down what this process is going to ask."""
        place = {"host": socket.gethostname(), "pid": os.getpid(), "started_at": _now()}
        self._write({"share": share.model_copy(update=place).model_dump(mode="json")})

    def append(self, record: Record) -> Record:
        """Write a record through to the disk and return it as written."""
        stamped = record.model_copy(update={"written_at": _now()})
        self._write(stamped.model_dump(mode="json"))
        self._remember(stamped)
        return stamped

    def end(self, how: ExitReason, reason: str = "") -> None:
        """Write down how this process ended, and close its file. Without a file, or a second time, do nothing.

        Where that cannot be written, the log says so: it must not hide why the process ends.
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
        whole = file.tell()
        try:
            rest = memoryview(_encoded(line))
            while rest:  # a disk that is filling up takes a part of it
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError as error:
            _cut_back(file, whole)
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
            raise SetupError(f"{self._path}: the journal cannot be written ({error.strerror})") from error
        return self._file


def _encoded(line: dict[str, Any]) -> bytes:
    text = io.BytesIO()
    # ASCII, so that no tear goes through a character and makes the file unreadable as text.
    jsonlines.Writer(text, dumps=json.dumps).write(line)
    return text.getvalue()


def _cut_back(file: io.FileIO, length: int) -> None:
    """Take a half-written line away again, as far as the disk lets us; readers pass over what stays."""
    try:
        file.truncate(length)
        file.seek(length)
    except OSError:
        return


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
