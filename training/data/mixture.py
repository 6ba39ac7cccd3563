"""Which samples a run learns from: a YAML file, or the reference's one-line form (spec training.md, section 2.4).

    seed: 0                       # chooses the samples of a fractional weight
    sources:
      - path: obelics/*.tar       # packed shards, .jsonl or .json; relative to this file
        slice: [0, 20000]         # samples from and to, before repeating
        weight: 2                 # repeats; 0.5 takes half of them
        modality: image           # a name for the table of counts; by default what the samples show
      - path: finevideo.jsonl
        media: /data/finevideo    # what media paths are relative to; the data file's own folder by default

The one-line form is `path#start_end*times;path…`, with shell braces. (The reference repeats before it slices, cuts the
last sample off where the end is -1, and passes over a file that is not there; here all of these are errors or mended.)
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
from qsv_eval.training.data.media import MediaReader
from qsv_eval.training.data.readers import RawSample, SampleSource, SizeHint, open_samples

__all__ = ["Mixture", "MixtureEntry", "MixturePart", "open_mixture", "read_entries"]


class MixtureEntry(BaseModel):
    """A file, or several by a pattern, and how much of it to take."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    slice: tuple[NonNegativeInt, NonNegativeInt | None] = (0, None)
    """From and to."""
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
    """What relative paths start from."""


_ONE_LINE = re.compile(r"(?P<path>[^#*]+)(?:#(?P<start>\d+)_(?P<end>\d+|-1))?(?:\*(?P<times>\d+))?")


def read_entries(mixture: str) -> _Entries:
    """Read a YAML file, or the one-line form.

    Raises:
        SetupError: it is neither, naming the part that is wrong.
    """
    path = Path(mixture)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise SetupError(f"mixture: there is no file {mixture}")
        try:
            read = _MixtureFile.model_validate(yaml.safe_load(path.read_text("utf-8")))
        except yaml.YAMLError as error:
            raise SetupError(f"mixture: {mixture} is no YAML: {error}") from error
        except ValidationError as error:
            problems = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            raise SetupError(f"mixture: {mixture}: {'; '.join(problems)}") from error
        return _Entries(read.sources, read.seed, path.parent)
    entries = [_one_line(part) for whole in mixture.split(";") if whole.strip() for part in braceexpand(whole.strip())]
    if not entries:
        raise SetupError("mixture: is empty; give a YAML file, or `path#start_end*times;path…`")
    return _Entries(entries, 0, Path())


def _one_line(part: str) -> MixtureEntry:
    found = _ONE_LINE.fullmatch(part)
    if found is None:
        raise SetupError(f"mixture: {part!r} is not of the form path#start_end*times")
    end = None if found["end"] in (None, "-1") else int(found["end"])
    return MixtureEntry(path=found["path"], slice=(int(found["start"] or 0), end), weight=float(found["times"] or 1))


class MixturePart(NamedTuple):
    """The samples of one file of an entry."""

    place: int
    """Of the entry in the mixture."""
    entry: MixtureEntry
    source: SampleSource
    numbers: np.ndarray
    """Which samples of the source, each as often as it is taken."""
    hints: list[SizeHint]
    """Of these."""


class Mixture:
    """All samples of a run, one behind the other; a map-style dataset."""

    def __init__(self, parts: Sequence[MixturePart]) -> None:
        self.parts = list(parts)
        self._ends = np.cumsum([len(part.numbers) for part in self.parts])

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def read(self, number: int) -> RawSample:
        """Read a sample; raises BadSample or MediaError."""
        place = int(np.searchsorted(self._ends, number, side="right"))
        part = self.parts[place]
        return part.source.read(int(part.numbers[number - int(self._ends[place])]))

    def hints(self) -> list[SizeHint]:
        """Return what is known of every sample's size."""
        return [hint for part in self.parts for hint in part.hints]


def open_mixture(mixture: str, reader: MediaReader) -> Mixture:
    """Open all files of a mixture, and choose the samples.

    Raises:
        SetupError: a file is not there or cannot be read, or a slice is empty.
    """
    entries, seed, folder = read_entries(mixture)
    return Mixture([part for place, entry in enumerate(entries) for part in _open(place, entry, seed, folder, reader)])


def _open(place: int, entry: MixtureEntry, seed: int, folder: Path, reader: MediaReader) -> list[MixturePart]:
    paths = sorted(folder.glob(entry.path)) if not Path(entry.path).is_absolute() else _glob(Path(entry.path))
    if not paths:
        raise SetupError(f"mixture: there is no file {folder / entry.path}")
    media = None if entry.media is None else folder / entry.media
    sources = [open_samples(path, media, reader) for path in paths]
    sizes = [len(source) for source in sources]
    start, end = entry.slice
    chosen = np.arange(sum(sizes))[start:end]
    if not len(chosen):
        raise SetupError(f"mixture: {entry.path} has {sum(sizes)} samples, so its slice {start} to {end} is empty")
    chosen = _weighted(chosen, entry.weight, np.random.default_rng((seed, place)))
    parts, begin = [], 0
    for source, size in zip(sources, sizes, strict=True):
        numbers = chosen[(chosen >= begin) & (chosen < begin + size)] - begin
        begin += size
        if len(numbers):
            parts.append(MixturePart(place, entry, source, numbers, _hints(source, numbers)))
    return parts


def _glob(path: Path) -> list[Path]:
    return sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))


def _weighted(chosen: np.ndarray, weight: float, rng: np.random.Generator) -> np.ndarray:
    """Take every sample `weight` times; of a broken number, a random part once more."""
    whole, rest = divmod(weight, 1)
    more = rng.permutation(chosen)[: round(rest * len(chosen))]
    return np.sort(np.concatenate([np.tile(chosen, int(whole)), more]))


def _hints(source: SampleSource, numbers: np.ndarray) -> list[SizeHint]:
    """Return the hint of each number, read once however often it comes."""
    once, places = np.unique(numbers, return_inverse=True)
    found = list(source.hints(once.tolist()))
    return [found[place] for place in places.tolist()]
