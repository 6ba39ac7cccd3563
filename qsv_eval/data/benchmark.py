"""A benchmark as data: its official layouts, and where they are looked for.

In this order: `$QSV_DATA/<name>/samples/` as `qsv-eval data prepare` leaves it; `$QSV_DATA/<name>/` in an official
layout; the hub's cache (or the hub) for annotations, and for media also where lmms-eval unpacks them below HF_HOME.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from qsv_eval.data.media_index import MediaIndex
from qsv_eval.data.sample import Sample, duplicate_ids, read_samples
from qsv_eval.model_adapters.errors import SetupError

__all__ = ["Benchmark", "BenchmarkSources", "data_root"]


def data_root() -> Path | None:
    """Return the folder that QSV_DATA names, None where it is not set; SetupError where it is no folder."""
    value = os.environ.get("QSV_DATA")
    if not value:
        return None
    root = Path(value).expanduser()
    if not root.is_dir():
        raise SetupError(f"QSV_DATA={value} is not a folder. Set it to the folder of the benchmarks, or unset it.")
    return root


@dataclass(frozen=True)
class BenchmarkSources:
    """The folders in which a benchmark lies, the one to be preferred first."""

    folders: Sequence[Path]

    def files(self, *patterns: str) -> list[Path]:
        """Return the files of the first pattern that has any, in the first folder that has any; sorted."""
        for folder in self.folders:
            for pattern in patterns:
                if found := sorted(path for path in folder.glob(pattern) if path.is_file()):
                    return found
        return []

    @cached_property
    def media(self) -> MediaIndex:
        """Return the files of all folders."""
        return MediaIndex(self.folders)


Layout = Callable[[BenchmarkSources], list[Sample] | None]
"""Turns an official layout into samples; None where there is no such layout."""


@dataclass(frozen=True)
class Benchmark:
    """What is known of a benchmark before it is asked."""

    name: str
    """Its folder below `$QSV_DATA`."""
    sets: Mapping[str, Layout]
    """Its sets of questions by name, each with what converts it."""
    repos: tuple[str, ...] = ()
    """Dataset repositories on the hub, the authors' own first."""
    annotations: tuple[str, ...] = ()
    """Patterns of the files there that hold the questions."""
    hf_home: str = ""
    """Folder below HF_HOME into which lmms-eval unpacks its media."""
    needs: str = ""
    """What its folder must hold, in words, for the message when it does not."""

    def samples(self, set_name: str) -> list[Sample]:
        """Return the samples of one of its sets, with absolute paths.

        Raises:
            SetupError: they are nowhere, or are not what they should be.
        """
        found = self.unchecked_samples(set_name)
        videos = [sample.video.path for sample in found if sample.video]
        if videos and not any(map(os.path.exists, videos)):
            raise SetupError(
                f"{self.name}: none of its {len(set(videos))} videos is there, such as {videos[0]}. Unpack them below "
                f"$QSV_DATA/{self.name}/, or with `qsv-eval data prepare {self.name} --from FOLDER`."
            )
        if repeated := duplicate_ids(found):
            raise SetupError(f"{self.name}: {len(repeated)} ids occur more than once, such as {repeated[0]}")
        return found

    def unchecked_samples(self, set_name: str) -> list[Sample]:
        """Return the samples as they are, even if ids repeat."""
        found = self._prepared(set_name)
        if found is None:
            layout = self.sets[set_name]
            found = layout(self._sources(own := self._own_folders())) or layout(self._sources(own + self._from_hub()))
        if not found:
            raise SetupError(self._missing())
        return found

    def load_images(self, set_name: str, ids: Sequence[str]) -> None:
        """Return nothing: its media are files."""

    def convert(self, folder: Path) -> dict[str, list[Sample]]:
        """Return the samples of all sets that a folder holds in an official layout."""
        sources = BenchmarkSources([folder])
        return {set_name: found for set_name, layout in self.sets.items() if (found := layout(sources))}

    def _own_folders(self) -> list[Path]:
        root = data_root()
        return [root / self.name] if root and (root / self.name).is_dir() else []

    def _sources(self, folders: list[Path]) -> BenchmarkSources:
        """Add where lmms-eval unpacks the media."""
        unpacked = hf_home() / self.hf_home
        return BenchmarkSources(folders + ([unpacked] if self.hf_home and unpacked.is_dir() else []))

    def _prepared(self, set_name: str) -> list[Sample] | None:
        root = data_root()
        file = root / self.name / "samples" / f"{set_name}.jsonl" if root else None
        if file is None or not file.is_file():
            return None
        return [_absolute(sample, file.parent.parent) for sample in read_samples(file)]

    def _from_hub(self) -> list[Path]:
        from huggingface_hub import snapshot_download

        found = []
        for offline in (True, False):
            for repo in self.repos:
                try:
                    folder = snapshot_download(
                        repo,
                        repo_type="dataset",
                        allow_patterns=list(self.annotations),
                        local_files_only=offline,
                    )
                except (OSError, ValueError):  # not there: every failure of the hub is one of these
                    continue
                found.append(Path(folder))
            if found:
                break
        return found

    def _missing(self) -> str:
        root = data_root()
        here = f"{root / self.name} holds none of its layouts" if root else "QSV_DATA is not set"
        hub = f", and {self.repos[0]} could not be had from the hub" if self.repos else ""
        return (
            f"{self.name}: no questions: {here}{hub}. Set QSV_DATA to a folder with {self.name}/{self.needs}, or make "
            f"it with `qsv-eval data prepare {self.name} --from FOLDER`."
        )


def hf_home() -> Path:
    """Return the folder below which lmms-eval unpacks the videos that it downloads."""
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
