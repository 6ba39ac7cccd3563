"""Cache of verdicts on disk, so that no call is paid for twice.

Each judge has a folder with one JSON Lines file for each process that wrote to it. Every verdict is written unbuffered
as soon as it arrives, so a killed process loses none, and a torn line affects no other line.
"""

import hashlib
import io
import json
import re
import uuid
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import jsonlines
from pydantic import BaseModel, ValidationError

from qsv_eval.judge.rubrics import rubric_named
from qsv_eval.judge.types import JudgeRequest, Message, Verdict
from qsv_eval.model_adapters.errors import SetupError

__all__ = ["VerdictCache", "verdict_key"]


class _CacheLine(BaseModel):
    key: str
    protocol: str
    version: int
    verdict: Verdict


def verdict_key(model: str, request: JudgeRequest, messages: list[Message]) -> str:
    """Return what a verdict rests on, as a hash: judge, protocol, its version, and every word that the judge reads."""
    content = [model, request.protocol, rubric_named(request.protocol).version, messages]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


class VerdictCache:
    """The verdicts of one judge. SetupError if the folder cannot be read or written."""

    def __init__(self, folder: Path, model: str) -> None:
        """Read what is there; lines that cannot be read are passed over, and their cases asked again."""
        # The hash keeps names apart that differ only in what no file name may hold.
        name = re.sub(r"[^\w.-]+", "-", model)[:60] + "-" + hashlib.sha256(model.encode()).hexdigest()[:8]
        self.folder = folder.expanduser() / name
        self._file: io.FileIO | None = None
        self._verdicts: dict[str, Verdict] = {}
        try:
            for path in sorted(self.folder.glob("*.jsonl")):
                self._read(path)
        except OSError as error:
            raise SetupError(f"{error.filename}: these verdicts cannot be read ({error.strerror})") from error

    def __enter__(self) -> "VerdictCache":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    def get(self, key: str) -> Verdict | None:
        """Return the verdict with this key, the oldest one if several processes asked for it."""
        return self._verdicts.get(key)

    def add(self, key: str, request: JudgeRequest, verdict: Verdict) -> None:
        """Write a verdict down."""
        self._verdicts[key] = verdict
        version = rubric_named(request.protocol).version
        line = _CacheLine(key=key, protocol=request.protocol, version=version, verdict=verdict).model_dump(mode="json")
        try:
            file = self._open() if self._file is None else self._file
            rest = memoryview(json.dumps(line).encode() + b"\n")
            while rest:  # a disk that is filling up takes a part of it
                rest = rest[file.write(rest) :]
        except OSError as error:
            raise SetupError(
                f"{self.folder}: a verdict cannot be kept there ({error.strerror}); those before are safe. Make room "
                "or name another folder, and score again"
            ) from error

    def _open(self) -> io.FileIO:
        self.folder.mkdir(parents=True, exist_ok=True)
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        self._file = (self.folder / f"{now}-{uuid.uuid4().hex[:8]}.jsonl").open("xb", buffering=0)
        return self._file

    def _read(self, path: Path) -> None:
        with path.open("rb") as file, jsonlines.Reader(file) as lines:
            for line in lines.iter(type=dict, skip_invalid=True):
                try:
                    read = _CacheLine.model_validate(line)
                except ValidationError:
                    continue
                self._verdicts.setdefault(read.key, read.verdict)
