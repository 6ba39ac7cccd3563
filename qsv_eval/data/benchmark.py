"""Benchmark data: official layouts, and the search for them.

Searched in this order: `$QSV_DATA/<name>/samples/`, written by `qsv-eval data prepare`; `$QSV_DATA/<name>/` in an
official layout; the hub's cache and the hub (annotations only). Media are also found where lmms-eval unpacks them below
HF_HOME.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from qsv_eval.data.media_index import MediaIndex
from qsv_eval.data.sample import Sample, read_samples, refuse_duplicates
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.plurals import counted

__all__ = ["Benchmark", "BenchmarkSources", "data_root"]


def data_root() -> Path | None:
    """Return the folder that QSV_DATA names; None if it is not set, SetupError if it is not a folder."""
    value = os.environ.get("QSV_DATA")
    if not value:
        return None
    root = Path(value).expanduser()
    if not root.is_dir():
        raise SetupError(
            f"QSV_DATA={value} is not a folder. Set it to the folder that holds the benchmarks, or unset it."
        )
    return root


@dataclass(frozen=True)
class BenchmarkSources:
    """Folders that hold a benchmark, in order of preference."""

    folders: Sequence[Path]

    def files(self, *patterns: str) -> list[Path]:
        """Return the sorted files of the first pattern that matches any in the first folder that has any."""
        for folder in self.folders:
            for pattern in patterns:
                if files := sorted(path for path in folder.glob(pattern) if path.is_file()):
                    return files
        return []

    @cached_property
    def media(self) -> MediaIndex:
        """Return an index of the files in all folders."""
        return MediaIndex(self.folders)


Layout = Callable[[BenchmarkSources], list[Sample] | None]
"""Converter of an official layout to samples; None if the folders do not have this layout."""


@dataclass(frozen=True)
class Benchmark:
    """Benchmark whose media are files: its layouts and the places where they are found."""

    name: str
    """Name of its folder below `$QSV_DATA`."""
    sets: Mapping[str, Layout]
    """Converter of each set of samples by the name of the set."""
    repos: tuple[str, ...] = ()
    """Dataset repositories on the hub, the authors' repository first."""
    annotations: tuple[str, ...] = ()
    """Glob patterns of the annotation files in those repositories."""
    hf_home: str = ""
    """Folder below HF_HOME into which lmms-eval unpacks its media."""
    needs: str = ""
    """Contents that its folder must have, in words, for error messages."""

    def samples(self, set_name: str) -> list[Sample]:
        """Return the samples of a set, with absolute paths.

        Raises:
            SetupError: the samples or all of their videos are missing, or ids repeat.
        """
        samples = self.unchecked_samples(set_name)
        videos = [sample.video.path for sample in samples if sample.video]
        if videos and not any(map(os.path.exists, videos)):
            raise SetupError(
                f"{self.name}: none of its {counted(len(set(videos)), 'video')} found, such as {videos[0]}. Unpack "
                f"them below $QSV_DATA/{self.name}/, or with `qsv-eval data prepare {self.name} --from FOLDER`."
            )
        refuse_duplicates(self.name, samples)
        return samples

    def unchecked_samples(self, set_name: str) -> list[Sample]:
        """Return the samples of a set without checks."""
        samples = self._prepared(set_name)
        if samples is None:
            layout, local = self.sets[set_name], self._local_folders()
            samples = layout(self._sources(local)) or layout(self._sources(local + self._hub_folders()))
        if not samples:
            raise SetupError(self._missing())
        return samples

    def load_images(self, set_name: str, ids: Sequence[str]) -> None:
        """Return None: the media of this benchmark are files."""

    def convert(self, folder: Path) -> dict[str, list[Sample]]:
        """Return the samples of all sets that a folder has in an official layout."""
        sources = BenchmarkSources([folder])
        return {set_name: samples for set_name, layout in self.sets.items() if (samples := layout(sources))}

    def _local_folders(self) -> list[Path]:
        root = data_root()
        return [root / self.name] if root and (root / self.name).is_dir() else []

    def _sources(self, folders: list[Path]) -> BenchmarkSources:
        """Return these folders and the one into which lmms-eval unpacks the media."""
        unpacked = hf_home() / self.hf_home
        return BenchmarkSources(folders + ([unpacked] if self.hf_home and unpacked.is_dir() else []))

    def _prepared(self, set_name: str) -> list[Sample] | None:
        """Return the samples that `qsv-eval data prepare` wrote."""
        root = data_root()
        file = root / self.name / "samples" / f"{set_name}.jsonl" if root else None
        if file is None or not file.is_file():
            return None
        return [_absolute(sample, file.parent.parent) for sample in read_samples(file)]

    def _hub_folders(self) -> list[Path]:
        """Return snapshots of the annotations in the hub's cache, or else download them."""
        from huggingface_hub import snapshot_download

        folders = []
        for offline in (True, False):
            for repo in self.repos:
                try:
                    folder = snapshot_download(
                        repo,
                        repo_type="dataset",
                        allow_patterns=list(self.annotations),
                        local_files_only=offline,
                    )
                except (OSError, ValueError):  # every failure of the hub is one of these
                    continue
                folders.append(Path(folder))
            if folders:
                break
        return folders

    def _missing(self) -> str:
        root = data_root()
        here = f"{root / self.name} has none of its official layouts" if root else "QSV_DATA is not set"
        hub = f", and {self.repos[0]} could not be downloaded from the hub" if self.repos else ""
        return (
            f"{self.name}: no samples: {here}{hub}. Set QSV_DATA to a folder with {self.name}/{self.needs}, or create "
            f"it with `qsv-eval data prepare {self.name} --from FOLDER`."
        )


def hf_home() -> Path:
    """Return HF_HOME, below which lmms-eval unpacks downloaded videos."""
    return Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()


def _absolute(sample: Sample, folder: Path) -> Sample:
    if sample.video is None:
        return sample
    video = sample.video.model_copy(
        update={
            "path": str(folder / sample.video.path),
            "subtitles": str(folder / sample.video.subtitles) if sample.video.subtitles else None,
        }
    )
    return sample.model_copy(update={"video": video})
