"""Data types of the journal's lines. Light to import, because `qsv-eval status` and the leaderboard load no torch."""

import logging
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import BaseModel

from qsv_eval.model_adapters.errors import QsvError
from qsv_eval.model_adapters.variant_name import plain_name

if TYPE_CHECKING:
    from qsv_eval.model_adapters.engine.request import Request

__all__ = ["AnswerStatus", "Assignment", "ExitReason", "ProcessEnd", "ProcessLog", "Record", "SampleKey", "TaskTotal"]
__all__ += ["FIRST_REPLY_VERSION", "VideoUse", "failed_record", "sample_fields"]

_log = logging.getLogger(__name__)

FIRST_REPLY_VERSION: Final = "b7a71e9d9f6f"
"""Reply version of journals that do not state one."""


class AnswerStatus(StrEnum):
    """Answered or failed."""

    ANSWERED = "answered"
    FAILED = "failed"


class VideoUse(BaseModel):
    """Frames and cubes of one video that an answer is based on."""

    timestamps_s: list[float]
    """Time of each frame."""
    cubes: list[tuple[int, int, float | None, float | None]]
    """(start frame, end frame, start s, end s), half-open, without the thumbnail."""
    lost_frames: int = 0
    """Frames that should have been used and could not be decoded."""


class SampleKey(NamedTuple):
    """Identity of a benchmark's sample, whatever the settings of the request."""

    task: str
    """Name of the task, without the settings of a sweep."""
    split: str
    doc_id: int | str
    repeat: int

    @classmethod
    def of(cls, task: str, split: str, doc_id: int | str, repeat: int) -> "SampleKey":
        """Return the key of a sample; a sweep's variant has the samples of its task."""
        return cls(plain_name(task), split, doc_id, repeat)


class Record(BaseModel):
    """One line of the journal: the answer to one request, or the reason why it failed."""

    key: str
    """Answer key; empty where the request could not be built or a file is missing."""
    task: str
    doc_id: int | str
    split: str
    repeat: int
    sample_id: str
    fate: AnswerStatus
    text: str = ""
    """The reply up to the first stop string; in a conversation the last reply."""
    rounds: list[str] = []
    """All replies of a conversation that the task leads over several rounds."""
    loss: float | None = None
    """Mean negative log-likelihood of a scored continuation, in nats per token."""
    is_greedy: bool | None = None
    """Whether the scored continuation is the model's own greedy reply."""
    reason: str = ""
    """Reason of the failure."""
    degraded: bool = False
    """Whether the answer is based on fewer frames than requested, because memory ran out (see `videos`)."""
    videos: list[VideoUse] = []
    prompt_tokens: int = 0
    """Tokens of the prompt, visual tokens included."""
    visual_tokens: int = 0
    new_tokens: int = 0
    seconds: dict[str, float] = {}
    """Wall time of the answering thread by stage; time that several requests share is divided evenly among them."""
    read_s: float = 0.0
    """Seconds of reading the media in the background, divided in the same way."""
    peak_bytes: int = 0
    """Peak memory while answering: of the accelerators, or without one of this process so far."""
    environment: str = ""
    """Libraries, device and attention implementation."""
    written_at: str = ""

    @property
    def sample_key(self) -> SampleKey:
        """The identity of the sample."""
        return SampleKey.of(self.task, self.split, self.doc_id, self.repeat)


class TaskTotal(BaseModel):
    """Number of different requests of a task in a run, over all processes."""

    total: int
    known: int
    """Requests answered by an earlier run."""


class Assignment(BaseModel):
    """Requests that one process is going to answer, written first, so that a killed process's gaps are known."""

    run: str
    """Start time that all processes of a run share."""
    rank: int
    world_size: int
    host: str = ""
    pid: int = 0
    started_at: str = ""
    reply_version: str = FIRST_REPLY_VERSION
    """`REPLY_VERSION` of the code that answers."""
    totals: dict[str, TaskTotal] = {}
    questions: list[tuple[str, str, str]] = []
    """(task, sample id, answer key) of each request."""
    renamed: list[tuple[str, str, str]] = []
    """The same for requests whose answer the journal holds under another task name: that of an equal variant in an
    earlier sweep over other axes."""


class ExitReason(StrEnum):
    """Reason why a process ended."""

    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


class ProcessEnd(BaseModel):
    """The last line of a process, unless it was killed."""

    how: ExitReason
    reason: str = ""
    at: str = ""


class ProcessLog(NamedTuple):
    """All lines that one process wrote."""

    path: Path
    shares: list[Assignment]
    """One for each kind of request; empty if the process died before it had one."""
    records: list[Record]
    end: ProcessEnd | None

    @property
    def reply_version(self) -> str:
        """The reply version of the answers."""
        return self.shares[0].reply_version if self.shares else FIRST_REPLY_VERSION


def failed_record(request: "Request", key: str, error: Exception, **measured: Any) -> Record:
    """Return the record of a failed request, and log the reason."""
    reason = str(error) if isinstance(error, QsvError) else f"{type(error).__name__}: {error}"
    _log.warning("%s, sample %s: %s", request.task, request.sample_id, reason)
    return Record(key=key, **sample_fields(request), fate=AnswerStatus.FAILED, reason=reason, **measured)


def sample_fields(request: "Request") -> dict[str, Any]:
    """Return a record's fields that identify the sample."""
    return {name: getattr(request, name) for name in ("task", "doc_id", "split", "repeat", "sample_id")}
