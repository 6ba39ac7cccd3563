"""`qsv-eval data prepare`: unpack a download and write its samples, so that later runs read them at once.

$QSV_DATA/<benchmark>/samples/<set>.jsonl     one sample per line
$QSV_DATA/<benchmark>/…                       media and annotations, as in the archives
$QSV_DATA/<benchmark>/prepared.json           archives that are unpacked
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from qsv_eval.data.archives import Archive, find_archives, unpack
from qsv_eval.data.benchmark import Benchmark
from qsv_eval.data.sample import Sample, write_samples
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.files import atomic_write

__all__ = ["PreparedBenchmark", "prepare"]

_DONE = "prepared.json"


class PreparedBenchmark(NamedTuple):
    """Result of preparing a benchmark."""

    folder: Path
    samples: Mapping[str, int]
    """Number of samples in each set."""
    missing: list[str]
    """Paths of videos that samples need and that do not exist."""


def prepare(benchmark: Benchmark, source: Path, root: Path, *, remove_archives: bool = False) -> PreparedBenchmark:
    """Unpack and copy the content of `source`, and write the benchmark's samples. A second call resumes.

    Args:
        benchmark: the benchmark to prepare.
        source: a download in any official layout: a snapshot of the hub, or the authors' folders and zips.
        root: the folder of all benchmarks.
        remove_archives: delete each archive of `source` after unpacking it.

    Raises:
        SetupError: an archive is damaged, or `source` has no official layout.
    """
    if not source.is_dir():
        raise SetupError(f"--from {source}: not a folder; give the folder into which {benchmark.name} was downloaded")
    folder = root / benchmark.name
    folder.mkdir(parents=True, exist_ok=True)
    archives = find_archives(source)
    for archive in archives:
        _unpack_once(archive, folder)
        if remove_archives:
            for file in archive.files:
                file.unlink()
    _copy_files(source, folder, {file for archive in archives for file in archive.files})
    sets = benchmark.convert(folder)
    if not sets:
        raise SetupError(f"--from {source}: no official layout of {benchmark.name} found; it needs {benchmark.needs}")
    for set_name, samples in sets.items():
        write_samples(folder / "samples" / f"{set_name}.jsonl", (_relative(sample, folder) for sample in samples))
    wanted = {sample.video.path for samples in sets.values() for sample in samples if sample.video}
    missing = sorted(path for path in wanted if not Path(path).exists())
    return PreparedBenchmark(folder, {set_name: len(samples) for set_name, samples in sets.items()}, missing)


def _unpack_once(archive: Archive, folder: Path) -> None:
    file = folder / _DONE
    finished: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    state = archive.state
    if finished.get(archive.name) == state:
        return
    unpack(archive, (folder / archive.name).parent)
    with atomic_write(file) as draft:
        draft.write_text(json.dumps(finished | {archive.name: state}, indent=1) + "\n", "utf-8")


def _copy_files(source: Path, folder: Path, archives: set[Path]) -> None:
    """Hard-link the files that are not archives, or copy them if the file system cannot link."""
    if source.resolve() == folder.resolve():
        return
    files = [path for path in source.rglob("*") if path.is_file() and path not in archives]
    for file in tqdm(files, "copying files", leave=False, delay=1):
        copy = folder / file.relative_to(source)
        original = file.resolve()
        if copy.is_file() and copy.stat().st_size == original.stat().st_size:
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.unlink(missing_ok=True)
        try:
            os.link(original, copy)
        except OSError:  # another disk, or a file system without links
            with atomic_write(copy) as draft:
                shutil.copyfile(original, draft)


def _relative(sample: Sample, folder: Path) -> Sample:
    if sample.video is None:
        return sample
    video = sample.video
    changes = {"path": os.path.relpath(video.path, folder)}
    if video.subtitles:
        changes["subtitles"] = os.path.relpath(video.subtitles, folder)
    return sample.model_copy(update={"video": video.model_copy(update=changes)})
