"""Data files opened as sequences of samples: `.jsonl`, `.json`, and packed shards (`.tar`).

Opening one finds where the samples are; what those that are chosen cost is estimated from their JSON, and nothing else
stays in memory. A sample is read, checked and decoded when it is wanted.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

import numpy as np
from PIL import Image

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.quicksviewer.messages import VideoInput
from qsv_eval.training.data.media import MediaReader
from qsv_eval.training.data.sample import BadSample, TrainingSample, read_sample
from qsv_eval.training.data.shards import Shard

__all__ = ["RawSample", "SampleSource", "open_samples"]


class RawSample(NamedTuple):
    """A sample as it lies in its file, checked, and how to open what belongs to it."""

    sample: TrainingSample
    place: str
    """File and number, for messages."""
    images: Callable[[], list[Image.Image]]
    video: Callable[[], VideoInput]


class SampleSource(Protocol):
    """A data file."""

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def hints(self, numbers: Sequence[int]) -> Iterator["SizeHint"]:
        """Yield what is known of each of these samples, given in their order, without opening media."""
        ...

    def read(self, number: int) -> RawSample:
        """Read a sample; raises `BadSample`."""
        ...


class SizeHint(NamedTuple):
    """What a sample's JSON tells of its size."""

    text_bytes: int
    """In UTF-8: a Chinese character takes three, and about as many tokens as three Latin letters or more."""
    images: int
    seconds: float | None
    """Of the video; None where there is none or nobody knows."""
    has_video: bool
    frames: int | None = None
    """Exactly, where they are stored."""
    broken: str | None = None
    """Why it is no sample, with its place; it then counts nothing."""

    @property
    def modality(self) -> str:
        """What it shows, in a word."""
        if self.broken is not None:
            return "broken"
        return "video" if self.has_video else "image" if self.images else "text"


def open_samples(path: Path, media: Path | None, reader: MediaReader) -> SampleSource:
    """Open a data file.

    Args:
        path: `.jsonl`, `.json` (a list) or `.tar`.
        media: folder that relative media paths start from; the file's own by default.
        reader: reads images and videos.
    """
    match path.suffix:
        case ".jsonl" | ".json":
            return LinesSource(path, media or path.parent, reader)
        case ".tar":
            return ShardSource(path, reader)
    raise SetupError(f"mixture: {path} is neither .jsonl, .json nor .tar")


class LinesSource:
    """JSON lines, or a JSON list, with media in files."""

    def __init__(self, path: Path, media: Path, reader: MediaReader) -> None:
        self.path, self.media, self.reader = path, media, reader
        self._lines = _offsets(path) if path.suffix == ".jsonl" else _list_of(path)

    def __len__(self) -> int:
        return len(self._lines)

    def hints(self, numbers: Sequence[int]) -> Iterator[SizeHint]:
        """Yield each sample's hint, in one pass through the file."""
        with self.path.open("rb") as file:
            for number in numbers:
                yield _hint(self._line(number, file), self._place(number))

    def read(self, number: int) -> RawSample:
        """Read a sample."""
        place = self._place(number)
        with self.path.open("rb") as file:
            sample = read_sample(self._line(number, file), place)
        images = partial(self._images, sample)
        return RawSample(sample, place, images, partial(self._video, sample))

    def _line(self, number: int, file: BinaryIO) -> bytes:
        where = self._lines[number]
        if isinstance(where, bytes):
            return where
        file.seek(int(where))
        return file.readline()

    def _place(self, number: int) -> str:
        return f"{self.path}, line {number + 1}" if self.path.suffix == ".jsonl" else f"{self.path}, entry {number + 1}"

    def _images(self, sample: TrainingSample) -> list[Image.Image]:
        return [self.reader.image(self.media / path) for path in sample.images]

    def _video(self, sample: TrainingSample) -> VideoInput:
        assert sample.video_path is not None
        return self.reader.video(self.media / sample.video_path, sample.start_sec, sample.end_sec)


class ShardSource:
    """A packed shard."""

    def __init__(self, path: Path, reader: MediaReader) -> None:
        self.path, self.reader = path, reader
        self.shard = Shard(path)

    def __len__(self) -> int:
        return len(self.shard)

    def hints(self, numbers: Sequence[int]) -> Iterator[SizeHint]:
        """Yield each sample's hint, its frames exactly."""
        for number in numbers:
            hint = _hint(self.shard.line(number), self._place(number))
            yield hint._replace(frames=self.shard.pictures(number)) if hint.has_video else hint

    def read(self, number: int) -> RawSample:
        """Read a sample with its pictures."""
        place = self._place(number)
        line, pictures = self.shard.read(number)
        sample = read_sample(line, place)
        if sample.timestamps is not None and len(sample.timestamps) != len(pictures):
            raise BadSample(f"{place}: has {len(sample.timestamps)} timestamps for {len(pictures)} frames")
        if sample.video_path is None and len(sample.images) != len(pictures):
            raise BadSample(f"{place}: names {len(sample.images)} images and holds {len(pictures)}")
        video = partial(self.reader.stored_video, pictures, sample.timestamps)
        return RawSample(sample, place, lambda: [self.reader.image(picture) for picture in pictures], video)

    def _place(self, number: int) -> str:
        return f"{self.path}, sample {number}"


def _hint(line: bytes, place: str) -> SizeHint:
    try:
        sample = read_sample(line, place)
    except BadSample as error:
        return SizeHint(0, 0, None, False, broken=str(error))
    text = sum(len(segment.text.encode()) for turn in sample.turns() for segment in turn.segments)
    seconds = sample.video_len
    if sample.start_sec is not None and sample.end_sec is not None:
        seconds = sample.end_sec - sample.start_sec
    has_video = sample.video_path is not None
    return SizeHint(text, len(sample.images), seconds if has_video else None, has_video)


def _offsets(path: Path) -> np.ndarray:
    """Return where each line that is not blank begins."""
    offsets, position = [], 0
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                offsets.append(position)
            position += len(line)
    return np.array(offsets, np.int64)


def _list_of(path: Path) -> list[bytes]:
    try:
        entries = json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        raise SetupError(f"{path}: is no JSON ({error})") from error
    if not isinstance(entries, list):
        raise SetupError(f"{path}: holds a {type(entries).__name__}, not a list of samples")
    return [json.dumps(entry).encode() for entry in entries]
