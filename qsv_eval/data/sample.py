"""The schema into which every benchmark's own layout is converted: one question and all that belongs to it."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.files import atomic_write

__all__ = ["Sample", "SampleVideo", "duplicate_ids", "read_samples", "write_samples"]

Name = Annotated[str, Field(min_length=1)]


class SampleVideo(BaseModel):
    """A video, or a stretch of one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Name
    """Absolute, or relative to the benchmark's folder."""
    start_s: float | None = Field(default=None, ge=0)
    end_s: float | None = Field(default=None, gt=0)
    subtitles: str | None = None
    """A subtitle file, SRT or WebVTT."""
    frames_fps: float | None = Field(default=None, gt=0)
    """Set where the path is a folder of numbered pictures: how many of them are a second."""
    duration_s: float | None = None
    """What the annotations say of its length; for checks only."""

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> "SampleVideo":
        if self.end_s is not None and self.end_s <= (self.start_s or 0.0):
            raise ValueError(f"ends at {self.end_s} s and starts at {self.start_s} s")
        return self


class Sample(BaseModel):
    """One question of a benchmark."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Name
    """Of its own within the benchmark."""
    video: SampleVideo | None = None
    images: tuple[str, ...] = ()
    """Columns of the table that hold its images, in order."""
    question: str
    options: tuple[str, ...] = ()
    """As the annotations have them: with letters if they stand there."""
    answer: str = ""
    """A letter, or what is right in words; empty where it is not published."""
    answers: tuple[str, ...] = ()
    """All accepted answers, where there are several."""
    cluster: str = ""
    """What its questions share and standard errors allow for: the video, or the image."""
    groups: dict[str, str | tuple[str, ...]] = {}
    """What scores are broken down by; a question may be of several kinds at once."""
    notes: dict[str, str] = {}
    """What only this benchmark's prompt or judge needs, such as a hint."""


def read_samples(file: Path) -> list[Sample]:
    """Read a file of one sample a line; SetupError names the line that is none."""
    samples = []
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        try:
            samples.append(Sample.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            raise SetupError(
                f"{file}:{number}: {'.'.join(map(str, first['loc'])) or 'the line'}: {first['msg']}. "
                "Make it again with `qsv-eval data prepare`."
            ) from error
    return samples


def write_samples(file: Path, samples: Iterable[Sample]) -> None:
    """Write one sample a line, all or nothing."""
    with atomic_write(file) as draft:
        draft.write_text("".join(f"{sample.model_dump_json(exclude_defaults=True)}\n" for sample in samples), "utf-8")


def duplicate_ids(samples: Iterable[Sample]) -> list[str]:
    """Return the ids that more than one sample has, sorted."""
    return sorted(id_ for id_, count in Counter(sample.id for sample in samples).items() if count > 1)
