"""Data files as sequences of samples: `.jsonl`, `.json`, and packed shards (`.tar`).

Opening a file indexes its samples; a sample is read, validated and decoded when it is requested.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

import numpy as np
from PIL import Image

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.plurals import counted
from qsv_eval.model_adapters.quicksviewer.messages import VideoInput
from qsv_eval.training.data.media import MediaReader
from qsv_eval.training.data.sample import BadSample, TrainingSample, read_sample
from qsv_eval.training.data.shards import Shard

__all__ = ["RawSample", "SampleSource", "open_samples"]


class RawSample(NamedTuple):
    """A validated sample, with functions that read its media."""

    sample: TrainingSample
    location: str
    """File and line, entry or sample number, for error messages."""
    images: Callable[[], list[Image.Image]]
    video: Callable[[], VideoInput]


class SampleSource(Protocol):
    """A data file."""

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def hints(self, indices: Sequence[int]) -> Iterator["SizeHint"]:
        """Yield the size hints of samples, given in ascending order, without opening media."""
        ...

    def read(self, index: int) -> RawSample:
        """Read a sample; raises `BadSample`."""
        ...


class SizeHint(NamedTuple):
    """Facts about a sample's size that its JSON states."""

    text_bytes: int
    """Length of the text in UTF-8; scripts with more bytes per character also have more tokens per character."""
    images: int
    seconds: float | None
    """Length of the video; None without a video or if unknown."""
    has_video: bool
    frames: int | None = None
    """Exact number of frames, if they are stored in the data file."""
    error: str | None = None
    """Location and error of an invalid sample, whose size is 0."""

    @property
    def modality(self) -> str:
        """Name of the modality: broken, video, image or text."""
        if self.error is not None:
            return "broken"
        return "video" if self.has_video else "image" if self.images else "text"


def open_samples(path: Path, media: Path | None, reader: MediaReader) -> SampleSource:
    """Open a data file.

    Args:
        path: `.jsonl`, `.json` (a list) or `.tar`.
        media: base folder of relative media paths; default: the file's folder.
        reader: reader of images and videos.
    """
    match path.suffix:
        case ".jsonl" | ".json":
            return LinesSource(path, media or path.parent, reader)
        case ".tar":
            return ShardSource(path, reader)
    raise SetupError(f"mixture: {path} is not a .jsonl, .json or .tar file")


class LinesSource:
    """JSON lines or a JSON list, with media in separate files."""

    def __init__(self, path: Path, media: Path, reader: MediaReader) -> None:
        self.path, self.media, self.reader = path, media, reader
        self._lines = _line_offsets(path) if path.suffix == ".jsonl" else _list_entries(path)

    def __len__(self) -> int:
        return len(self._lines)

    def hints(self, indices: Sequence[int]) -> Iterator[SizeHint]:
        """Yield each sample's hint, in one pass through the file."""
        with self.path.open("rb") as file:
            for index in indices:
                yield _hint(self._line(index, file), self._location(index))

    def read(self, index: int) -> RawSample:
        """Read a sample."""
        location = self._location(index)
        with self.path.open("rb") as file:
            sample = read_sample(self._line(index, file), location)
        return RawSample(sample, location, partial(self._images, sample), partial(self._video, sample))

    def _line(self, index: int, file: BinaryIO) -> bytes:
        line_or_offset = self._lines[index]
        if isinstance(line_or_offset, bytes):
            return line_or_offset
        file.seek(int(line_or_offset))
        return file.readline()

    def _location(self, index: int) -> str:
        return f"{self.path}, {'line' if self.path.suffix == '.jsonl' else 'entry'} {index + 1}"

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

    def hints(self, indices: Sequence[int]) -> Iterator[SizeHint]:
        """Yield each sample's hint, with the exact number of frames."""
        for index in indices:
            hint = _hint(self.shard.line(index), self._location(index))
            yield hint._replace(frames=self.shard.pictures(index)) if hint.has_video else hint

    def read(self, index: int) -> RawSample:
        """Read a sample with its pictures."""
        location = self._location(index)
        line, pictures = self.shard.read(index)
        sample = read_sample(line, location)
        if sample.timestamps is not None and len(sample.timestamps) != len(pictures):
            timestamps = counted(len(sample.timestamps), "timestamp")
            raise BadSample(f"{location}: has {timestamps} for {counted(len(pictures), 'frame')}")
        if sample.video_path is None and len(sample.images) != len(pictures):
            raise BadSample(f"{location}: names {counted(len(sample.images), 'image')} but holds {len(pictures)}")
        video = partial(self.reader.stored_video, pictures, sample.timestamps)
        return RawSample(sample, location, lambda: [self.reader.image(picture) for picture in pictures], video)

    def _location(self, index: int) -> str:
        return f"{self.path}, sample {index}"


def _hint(line: bytes, location: str) -> SizeHint:
    try:
        sample = read_sample(line, location)
    except BadSample as error:
        return SizeHint(0, 0, None, False, error=str(error))
    text = sum(len(segment.text.encode()) for turn in sample.turns() for segment in turn.segments)
    seconds = sample.video_len
    if sample.start_sec is not None and sample.end_sec is not None:
        seconds = sample.end_sec - sample.start_sec
    has_video = sample.video_path is not None
    return SizeHint(text, len(sample.images), seconds if has_video else None, has_video)


def _line_offsets(path: Path) -> np.ndarray:
    """Return the byte offset of each line that is not blank."""
    offsets, position = [], 0
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                offsets.append(position)
            position += len(line)
    return np.array(offsets, np.int64)


def _list_entries(path: Path) -> list[bytes]:
    try:
        entries = json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        raise SetupError(f"{path}: not valid JSON ({error})") from error
    if not isinstance(entries, list):
        raise SetupError(f"{path}: expected a list of samples, not {type(entries).__name__}")
    return [json.dumps(entry).encode() for entry in entries]
