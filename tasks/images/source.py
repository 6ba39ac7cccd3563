"""Image benchmarks as tables of the hub, whose rows are converted to samples without their images.

Parquet files in `$QSV_DATA/<name>/` come first, then the hub's cache and the hub. Tables are memory-mapped, so images
are read on access.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qsv_eval.data.benchmark import data_root
from qsv_eval.data.sample import Sample, refuse_duplicates
from qsv_eval.model_adapters.errors import SetupError

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["HubTable", "Row"]

Row = Mapping[str, Any]


@dataclass(frozen=True)
class HubTable:
    """Benchmark with questions and images as rows of one table."""

    name: str
    """Name of its folder below `$QSV_DATA`."""
    repos: tuple[str, ...]
    """Dataset repositories on the hub, in order of preference."""
    split: str
    sample: Callable[[int, Row], Sample | None]
    """Converter of a row's index and the row without images to a sample; None skips the row."""
    images: tuple[str, ...] = ("image",)
    """Columns of images."""
    config: str | None = None
    joined: tuple[str, str, str] | None = None
    """Configuration with the images, if separate, and the key columns of the questions and of the images."""

    def samples(self, set_name: str) -> list[Sample]:
        """Return the samples; SetupError if the table is not found, lacks columns, or ids repeat."""
        samples = self.unchecked_samples(set_name)
        refuse_duplicates(self.name, samples)
        return samples

    def unchecked_samples(self, set_name: str) -> list[Sample]:
        """Return the samples without checking for duplicate ids."""
        return [sample for _, sample in self._rows]

    def load_images(self, set_name: str, ids: Sequence[str]) -> "Dataset":
        """Return the image columns of these samples in this order."""
        row_of = {sample.id: row for row, sample in self._rows}
        rows = [row_of[id_] for id_ in ids]
        if self.joined is None:
            return self._image_columns(self._table).select(rows)
        config, question_key, image_key = self.joined
        images = self._open(config)
        image_row = {key: row for row, key in enumerate(images[image_key])}
        keys = self._table[question_key]
        return self._image_columns(images).select([image_row[keys[row]] for row in rows])

    def _image_columns(self, table: "Dataset") -> "Dataset":
        """Return the image columns, cast to images: files without the hub's metadata have plain bytes."""
        from datasets import Image
        from datasets import List as ListFeature

        images = table.select_columns(list(self.images))
        for name, feature in images.features.items():
            if isinstance(feature, dict):
                images = images.cast_column(name, Image())
            elif isinstance(feature, ListFeature) and isinstance(feature.feature, dict):
                images = images.cast_column(name, ListFeature(Image()))
        return images

    @property
    def _table(self) -> "Dataset":
        return _open_table(self, data_root())

    @property
    def _rows(self) -> list[tuple[int, Sample]]:
        return _indexed_samples(self, data_root())

    def _open(self, config: str | None) -> "Dataset":
        from datasets import load_dataset
        from datasets.exceptions import DatasetGenerationError

        if files := self._local_files(config):
            return load_dataset("parquet", data_files=[str(file) for file in files], split="train")
        for repo in self.repos:
            try:
                return load_dataset(repo, config, split=self.split)
            except (OSError, ValueError, DatasetGenerationError):  # every failure of the hub is one of these
                continue
        here = "QSV_DATA is not set" if data_root() is None else f"{data_root()}/{self.name} has no parquet files"
        raise SetupError(
            f"{self.name}: no samples: {here}, and {self.repos[0]} could not be downloaded from the hub. Put its "
            f"parquet files into $QSV_DATA/{self.name}/, or download it to the hub's cache first."
        )

    def _local_files(self, config: str | None) -> list[Path]:
        """Return the parquet files of the split and, if folders have its name, of the configuration."""
        root = data_root()
        files = sorted((root / self.name).rglob("*.parquet")) if root else []
        files = [file for file in files if file.stem.split("-")[0] == self.split] or files
        return [file for file in files if config in file.parts] or files


# Cached by `root` too, because QSV_DATA may change within a process.


@cache
def _open_table(table: HubTable, root: Path | None) -> "Dataset":
    return table._open(table.config)


@cache
def _indexed_samples(table: HubTable, root: Path | None) -> list[tuple[int, Sample]]:
    """Return the index and the sample of every row that is not skipped."""
    dataset = _open_table(table, root)
    rows = dataset.remove_columns([name for name in table.images if name in dataset.column_names])
    try:
        samples = [(index, table.sample(index, row)) for index, row in enumerate(rows)]
    except KeyError as error:
        raise SetupError(
            f"{table.name}: its table has no column {error}, only {', '.join(rows.column_names)}. Use the table of "
            f"{table.repos[0]}."
        ) from error
    return [(index, sample) for index, sample in samples if sample is not None]
