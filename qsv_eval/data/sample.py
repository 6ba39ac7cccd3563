"""Schema of a sample, to which the official layout of every benchmark is converted."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.files import atomic_write
from qsv_eval.model_adapters.plurals import counted

__all__ = ["Sample", "SampleVideo", "duplicate_ids", "read_samples", "refuse_duplicates", "write_samples"]

Name = Annotated[str, Field(min_length=1)]


class SampleVideo(BaseModel):
    """Video of a sample, or a segment of one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Name
    """Absolute path, or one relative to the benchmark's folder."""
    start_s: float | None = Field(default=None, ge=0)
    end_s: float | None = Field(default=None, gt=0)
    subtitles: str | None = None
    """Path of a subtitle file, SRT or WebVTT."""
    frames_fps: float | None = Field(default=None, gt=0)
    """Frame rate, if the path is a folder of numbered images."""
    duration_s: float | None = None
    """Duration by the annotations; only for checks."""

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> "SampleVideo":
        if self.end_s is not None and self.end_s <= (self.start_s or 0.0):
            raise ValueError(f"the segment ends at {self.end_s} s and starts at {self.start_s or 0.0} s")
        return self


class Sample(BaseModel):
    """One question of a benchmark with its media, options and answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Name
    """Unique within the benchmark."""
    video: SampleVideo | None = None
    images: tuple[str, ...] = ()
    """Names of the table's columns with its images, in order."""
    question: str
    options: tuple[str, ...] = ()
    """Options as annotated, with letters if the annotations have them."""
    answer: str = ""
    """Letter or text of the correct answer; empty if it is not published."""
    answers: tuple[str, ...] = ()
    """All accepted answers, if there are several."""
    cluster: str = ""
    """Id of the video or image that several samples share, for clustered standard errors."""
    groups: dict[str, str | tuple[str, ...]] = {}
    """Groups for breakdowns of the score by field; a sample may be in several groups of a field."""
    notes: dict[str, str] = {}
    """Further values for this benchmark's prompt or judge, such as a hint."""


def read_samples(file: Path) -> list[Sample]:
    """Read a file with one sample per line; SetupError names an invalid line."""
    samples = []
    for line_number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        try:
            samples.append(Sample.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            raise SetupError(
                f"{file}:{line_number}: {'.'.join(map(str, first['loc'])) or 'the line'}: {first['msg']}. "
                "Write it again with `qsv-eval data prepare`."
            ) from error
    return samples


def write_samples(file: Path, samples: Iterable[Sample]) -> None:
    """Write one sample per line, atomically."""
    with atomic_write(file) as draft:
        draft.write_text("".join(f"{sample.model_dump_json(exclude_defaults=True)}\n" for sample in samples), "utf-8")


def duplicate_ids(samples: Iterable[Sample]) -> list[str]:
    """Return the sorted ids that more than one sample has."""
    return sorted(id_ for id_, count in Counter(sample.id for sample in samples).items() if count > 1)


def refuse_duplicates(benchmark: str, samples: Iterable[Sample]) -> None:
    """Raise SetupError if ids occur more than once."""
    if ids := duplicate_ids(samples):
        raise SetupError(f"{benchmark}: {counted(len(ids), 'duplicate id')}, such as {ids[0]}: check the annotations")
