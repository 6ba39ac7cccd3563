"""Training mixtures: the samples of a run, from a YAML file or the reference's one-line form (docs/reference.md).

    seed: 0                       # selects the samples of a fractional weight
    sources:
      - path: obelics/*.tar       # packed shards, .jsonl or .json; relative to this file
        slice: [0, 20000]         # start and end (exclusive), applied before repeating
        weight: 2                 # number of repetitions; 0.5 takes half of the samples
        modality: image           # name in the table of counts; default: text, image or video
      - path: finevideo.jsonl
        media: /data/finevideo    # base folder of media paths; default: the data file's folder

The one-line form is `path#start_end*times;path…`, with shell braces. Unlike in the reference, slicing comes before
repeating, an end of -1 keeps the last sample, and a missing file is an error.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import yaml
from braceexpand import braceexpand
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.plurals import counted
from qsv_eval.training.data.media import MediaReader
from qsv_eval.training.data.readers import RawSample, SampleSource, SizeHint, open_samples

__all__ = ["Mixture", "MixtureEntry", "MixturePart", "open_mixture", "read_entries"]


class MixtureEntry(BaseModel):
    """One source of a mixture: a file or glob pattern, with its slice and weight."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    slice: tuple[NonNegativeInt, NonNegativeInt | None] = (0, None)
    """Start and end (exclusive)."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    modality: str | None = None
    media: str | None = None


class _MixtureFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: Annotated[list[MixtureEntry], Field(min_length=1)]
    seed: int = 0


class _Entries(NamedTuple):
    entries: Sequence[MixtureEntry]
    seed: int
    folder: Path
    """Base folder of relative paths."""


_ONE_LINE = re.compile(r"(?P<path>[^#*]+)(?:#(?P<start>\d+)_(?P<end>\d+|-1))?(?:\*(?P<times>\d+))?")


def read_entries(mixture: str) -> _Entries:
    """Parse a mixture: the path of a YAML file, or the one-line form.

    Raises:
        SetupError: the mixture is invalid; the message names the invalid part.
    """
    path = Path(mixture)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise SetupError(f"mixture: file {mixture} does not exist")
        try:
            parsed = _MixtureFile.model_validate(yaml.safe_load(path.read_text("utf-8")))
        except yaml.YAMLError as error:
            raise SetupError(f"mixture: {mixture} is not valid YAML: {error}") from error
        except ValidationError as error:
            problems = (f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
            raise SetupError(f"mixture: {mixture}: {'; '.join(problems)}") from error
        return _Entries(parsed.sources, parsed.seed, path.parent)
    entries = [_one_line(part) for whole in mixture.split(";") if whole.strip() for part in braceexpand(whole.strip())]
    if not entries:
        raise SetupError("mixture is empty; give a YAML file or `path#start_end*times;path…`")
    return _Entries(entries, 0, Path())


def _one_line(part: str) -> MixtureEntry:
    match = _ONE_LINE.fullmatch(part)
    if match is None:
        raise SetupError(f"mixture: {part!r} is not of the form path#start_end*times")
    end = None if match["end"] in (None, "-1") else int(match["end"])
    return MixtureEntry(path=match["path"], slice=(int(match["start"] or 0), end), weight=float(match["times"] or 1))


class MixturePart(NamedTuple):
    """The selected samples of one file of an entry."""

    entry_index: int
    """Index of the entry in the mixture."""
    entry: MixtureEntry
    source: SampleSource
    indices: np.ndarray
    """Indices of the selected samples in the source, with repetitions."""
    hints: list[SizeHint]
    """Size hint for each element of `indices`."""


class Mixture:
    """Concatenation of the selected samples of all files; a map-style dataset."""

    def __init__(self, parts: Sequence[MixturePart]) -> None:
        self.parts = list(parts)
        self._ends = np.cumsum([len(part.indices) for part in self.parts])

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def read(self, index: int) -> RawSample:
        """Read a sample; raises BadSample."""
        part_index = int(np.searchsorted(self._ends, index, side="right"))
        part = self.parts[part_index]
        return part.source.read(int(part.indices[index - int(self._ends[part_index])]))

    def hints(self) -> list[SizeHint]:
        """Return the size hints of all samples."""
        return [hint for part in self.parts for hint in part.hints]


def open_mixture(mixture: str, reader: MediaReader) -> Mixture:
    """Open all files of a mixture and select the samples.

    Raises:
        SetupError: a file is missing or unreadable, or a slice is empty.
    """
    entries, seed, folder = read_entries(mixture)
    return Mixture([part for i, entry in enumerate(entries) for part in _open(i, entry, seed, folder, reader)])


def _open(index: int, entry: MixtureEntry, seed: int, folder: Path, reader: MediaReader) -> list[MixturePart]:
    paths = sorted(folder.glob(entry.path)) if not Path(entry.path).is_absolute() else _glob(Path(entry.path))
    if not paths:
        raise SetupError(f"mixture: file {folder / entry.path} does not exist")
    media = None if entry.media is None else folder / entry.media
    sources = [open_samples(path, media, reader) for path in paths]
    sizes = [len(source) for source in sources]
    start, end = entry.slice
    selected = np.arange(sum(sizes))[start:end]
    if not len(selected):
        raise SetupError(
            f"mixture: {entry.path} has {counted(sum(sizes), 'sample')}, so its slice {start} to {end} is empty"
        )
    selected = _repeat(selected, entry.weight, np.random.default_rng((seed, index)))
    parts, begin = [], 0
    for source, size in zip(sources, sizes, strict=True):
        indices = selected[(selected >= begin) & (selected < begin + size)] - begin
        begin += size
        if len(indices):
            parts.append(MixturePart(index, entry, source, indices, _hints(source, indices)))
    return parts


def _glob(path: Path) -> list[Path]:
    return sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))


def _repeat(indices: np.ndarray, weight: float, rng: np.random.Generator) -> np.ndarray:
    """Repeat indices `weight` times; the fractional part selects a random subset."""
    whole, fraction = divmod(weight, 1)
    subset = rng.permutation(indices)[: round(fraction * len(indices))]
    return np.sort(np.concatenate([np.tile(indices, int(whole)), subset]))


def _hints(source: SampleSource, indices: np.ndarray) -> list[SizeHint]:
    """Return the hint of each index; repeated samples are read once."""
    unique, inverse = np.unique(indices, return_inverse=True)
    hints = list(source.hints(unique.tolist()))
    return [hints[i] for i in inverse.tolist()]
