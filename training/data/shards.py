"""Shards: tar files of samples in WebDataset's layout, indexed on opening for random access.

Sample `000042` is `000042.json`, followed by its pictures `000042.0000.jpg`, `000042.0001.jpg`, …: the images, or the
video's frames at the model's size, with their times in `timestamps` of the JSON. So a video is decoded only once.
"""

import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
from PIL import Image

from qsv_eval.model_adapters.errors import SetupError

__all__ = ["PackedSample", "Shard", "ShardWriter", "jpeg"]


class PackedSample(NamedTuple):
    """A sample as stored in a shard."""

    line: bytes
    """JSON of the sample."""
    pictures: list[bytes]


class ShardWriter:
    """Writer of samples into `FOLDER/PREFIX-000000.tar`, … of similar size; a shard appears when it is complete."""

    def __init__(self, folder: Path, prefix: str = "shard", shard_bytes: int = 512 << 20, first: int = 0) -> None:
        self.folder, self.prefix, self.shard_bytes = folder, prefix, shard_bytes
        self.number, self._tar, self._in_shard = first, None, 0
        self._part: Path | None = None
        folder.mkdir(parents=True, exist_ok=True)

    _tar: tarfile.TarFile | None

    def write(self, sample: Mapping[str, Any], pictures: Sequence[bytes] = (), suffix: str = "jpg") -> None:
        """Append a sample."""
        if self._tar is None:
            self._part = self.folder / f".{self._name()}.part"
            self._tar = tarfile.open(self._part, "w")  # noqa: SIM115 - closed when the shard is full
        key = f"{self._in_shard:06d}"
        self._add(f"{key}.json", json.dumps(sample, ensure_ascii=False).encode())
        for i, picture in enumerate(pictures):
            self._add(f"{key}.{i:04d}.{suffix}", picture)
        self._in_shard += 1
        if self._tar.offset >= self.shard_bytes:
            self.close()

    def close(self) -> None:
        """Finish the current shard."""
        if self._tar is None or self._part is None:
            return
        self._tar.close()
        os.replace(self._part, self.folder / self._name())
        self._tar, self._part, self._in_shard, self.number = None, None, 0, self.number + 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        elif self._tar is not None and self._part is not None:
            self._tar.close()
            self._part.unlink()

    def _name(self) -> str:
        return f"{self.prefix}-{self.number:06d}.tar"

    def _add(self, name: str, content: bytes) -> None:
        assert self._tar is not None
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        self._tar.addfile(entry, io.BytesIO(content))


class _TarMember(NamedTuple):
    offset: int
    size: int


class Shard:
    """Reader of a shard's samples by index; safe in forked and spawned workers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._samples = _index(path)
        self._file: BinaryIO | None = None
        self._pid = -1

    def __len__(self) -> int:
        return len(self._samples)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": None}

    def pictures(self, index: int) -> int:
        """Return the number of pictures of a sample."""
        return len(self._samples[index]) - 1

    def line(self, index: int) -> bytes:
        """Read the JSON of a sample."""
        member = self._samples[index][0]
        return self._read(member.offset, member.size)

    def read(self, index: int) -> PackedSample:
        """Read a sample with one read of the file."""
        members = self._samples[index]
        begin = members[0].offset
        data = self._read(begin, members[-1].offset + members[-1].size - begin)
        line, *pictures = (data[offset - begin : offset - begin + size] for offset, size in members)
        return PackedSample(line, pictures)

    def _read(self, offset: int, size: int) -> bytes:
        if self._file is None or self._pid != os.getpid():  # a forked process opens the file itself
            self._file, self._pid = self.path.open("rb"), os.getpid()
        data = os.pread(self._file.fileno(), size, offset)
        if len(data) != size:
            raise OSError(f"{self.path}: truncated within the sample at byte {offset}; write the shard again")
        return data


def _index(path: Path) -> list[list[_TarMember]]:
    """Return the tar members of each sample: its JSON, then its pictures."""
    samples: list[list[_TarMember]] = []
    key = None
    try:
        with tarfile.open(path, "r:") as tar:
            for entry in tar:
                name, _, suffix = entry.name.partition(".")
                if suffix == "json":
                    samples.append([])
                    key = name
                elif name != key:
                    raise SetupError(f"{path}: {entry.name} does not follow {name}.json; write the shard again")
                samples[-1].append(_TarMember(entry.offset_data, entry.size))
    except tarfile.TarError as error:
        raise SetupError(f"{path}: not a complete tar file ({error}); write the shard again") from error
    return samples


def jpeg(frame_HWC: np.ndarray, quality: int = 95) -> bytes:
    """Encode a uint8 RGB picture as JPEG without chroma subsampling."""
    buffer = io.BytesIO()
    Image.fromarray(frame_HWC).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()
