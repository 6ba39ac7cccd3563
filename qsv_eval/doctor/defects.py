"""What can be wrong with a benchmark's annotations; what can be wrong with its files is in `files.py`."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from qsv_eval.data.letters import LETTERS
from qsv_eval.data.sample import Sample, repeated_ids

__all__ = ["Defect", "Kind", "annotation_defects"]


class Kind(StrEnum):
    """Kinds of defects."""

    REPEATED_ID = "id more than once"
    OPTIONS = "options"
    """None where there must be some, an empty one, or two alike."""
    ANSWER = "answer is no option"
    MISSING = "missing"
    UNREADABLE = "cannot be read"
    TRUNCATED = "cut short"
    LAST_FRAME = "last frame cannot be decoded"
    DURATION = "length is not as annotated"
    BOUNDS = "segment outside of the video"
    SUBTITLES = "subtitles cannot be read"
    IMAGE = "image cannot be read"


class Defect(NamedTuple):
    """One thing that is wrong."""

    kind: Kind
    where: str
    """The sample's id, or the file."""
    detail: str
    samples: int = 1
    """How many samples it concerns."""


def annotation_defects(samples: Iterable[Sample], *, needs_options: bool) -> Iterator[Defect]:
    """Yield what is wrong with ids, options and answers. An answer that is not published is no defect."""
    samples = list(samples)
    for id_ in repeated_ids(samples):
        yield Defect(Kind.REPEATED_ID, id_, f"{sum(sample.id == id_ for sample in samples)} times")
    for sample in samples:
        options = [option.strip().casefold() for option in sample.options]
        if needs_options and len(options) < 2:
            yield Defect(Kind.OPTIONS, sample.id, f"{len(options)} options")
        elif "" in options or len(set(options)) < len(options):
            yield Defect(Kind.OPTIONS, sample.id, f"an empty one or two alike: {', '.join(sample.options)}")
        if options and sample.answer not in (*LETTERS[: len(options)], ""):
            yield Defect(Kind.ANSWER, sample.id, f"{sample.answer!r} of {len(options)} options")
        elif options and needs_options and not sample.answer:
            yield Defect(Kind.ANSWER, sample.id, "none, or more than one option is the answer's text")
