"""Image benchmarks as tables of the hub: the rows become samples, the image columns stay where they are.

Parquet files in `$QSV_DATA/<name>/` are taken first, then what the hub's cache or the hub has. Tables are mapped into
memory, so no image is read before it is looked at.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qsv_eval.data.benchmark import data_root
from qsv_eval.data.sample import Sample, duplicate_ids
from qsv_eval.model_adapters.errors import SetupError

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["HubTable", "Row"]

Row = Mapping[str, Any]


@dataclass(frozen=True)
class HubTable:
    """A benchmark whose questions and images are rows of one table."""

    name: str
    """Its folder below `$QSV_DATA`."""
    repos: tuple[str, ...]
    """Dataset repositories on the hub, the one that most know first."""
    split: str
    sample: Callable[[int, Row], Sample | None]
    """Makes a sample of a row without its images and its number; None for a row that is not asked."""
    images: tuple[str, ...] = ("image",)
    """The columns of images."""
    config: str | None = None
    joined: tuple[str, str, str] | None = None
    """Where images are in another configuration: its name, and the columns that must agree here and there."""

    def samples(self, set_name: str) -> list[Sample]:
        """Return its samples; SetupError where the table is nowhere or is not what it should be."""
        samples = self.unchecked_samples(set_name)
        if repeated := duplicate_ids(samples):
            raise SetupError(f"{self.name}: {len(repeated)} ids occur more than once, such as {repeated[0]}")
        return samples

    def unchecked_samples(self, set_name: str) -> list[Sample]:
        """Return the samples as they are, even if ids repeat."""
        return [sample for _, sample in self._rows]

    def load_images(self, set_name: str, ids: Sequence[str]) -> "Dataset":
        """Return the image columns of these samples, in this order."""
        number = {sample.id: row for row, sample in self._rows}
        rows = [number[id_] for id_ in ids]
        if self.joined is None:
            return self._pictures_of(self._table).select(rows)
        config, own, other = self.joined
        pictures = self._open(config)
        place = {value: at for at, value in enumerate(pictures[other])}
        keys = self._table[own]
        return self._pictures_of(pictures).select([place[keys[row]] for row in rows])

    def _pictures_of(self, table: "Dataset") -> "Dataset":
        """Return the image columns; files written without the hub's metadata hold plain bytes in them."""
        from datasets import Image
        from datasets import List as ListFeature

        pictures = table.select_columns(list(self.images))
        for name, feature in pictures.features.items():
            if isinstance(feature, dict):
                pictures = pictures.cast_column(name, Image())
            elif isinstance(feature, ListFeature) and isinstance(feature.feature, dict):
                pictures = pictures.cast_column(name, ListFeature(Image()))
        return pictures

    @property
    def _table(self) -> "Dataset":
        return _opened(self, data_root())

    @property
    def _rows(self) -> list[tuple[int, Sample]]:
        return _numbered(self, data_root())

    def _open(self, config: str | None) -> "Dataset":
        from datasets import load_dataset
        from datasets.exceptions import DatasetGenerationError

        if files := self._own_files(config):
            return load_dataset("parquet", data_files=[str(file) for file in files], split="train")
        for repo in self.repos:
            try:
                return load_dataset(repo, config, split=self.split)
            except (OSError, ValueError, DatasetGenerationError):  # not there: every failure of the hub is one of these
                continue
        here = "QSV_DATA is not set" if data_root() is None else f"{data_root()}/{self.name} has no parquet files of it"
        raise SetupError(
            f"{self.name}: no questions: {here}, and {self.repos[0]} could not be had from the hub. Put the "
            f"repository's parquet files into $QSV_DATA/{self.name}/, or download it with a network first."
        )

    def _own_files(self, config: str | None) -> list[Path]:
        """Return the parquet files of the split, of the configuration where there is more than one."""
        root = data_root()
        found = sorted((root / self.name).rglob("*.parquet")) if root else []
        found = [file for file in found if file.stem.split("-")[0] == self.split] or found
        return [file for file in found if config in (part for part in file.parts)] or found if config else found


# By the folder of the benchmarks, which may change while the process lives.


@cache
def _opened(table: HubTable, root: Path | None) -> "Dataset":
    return table._open(table.config)


@cache
def _numbered(table: HubTable, root: Path | None) -> list[tuple[int, Sample]]:
    """Return every row that is asked: its number, and its sample."""
    opened = _opened(table, root)
    plain = opened.remove_columns([name for name in table.images if name in opened.column_names])
    try:
        made = [(number, table.sample(number, row)) for number, row in enumerate(plain)]
    except KeyError as error:
        raise SetupError(
            f"{table.name}: its table has no column {error}, only {', '.join(plain.column_names)}. Is it the "
            f"benchmark's own, as {table.repos[0]} has it?"
        ) from error
    return [(number, sample) for number, sample in made if sample is not None]
