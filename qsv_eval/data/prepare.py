"""`qsv-eval data prepare`: from what was downloaded to a folder that every later run reads at once.

$QSV_DATA/<benchmark>/samples/<set>.jsonl     one sample a line
$QSV_DATA/<benchmark>/…                       media and annotations, as the archives hold them
$QSV_DATA/<benchmark>/prepared.json           which archives are done
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
    """What came of it."""

    folder: Path
    samples: Mapping[str, int]
    """Number in each set."""
    missing: list[str]
    """Media that samples want and that are not there."""


def prepare(benchmark: Benchmark, source: Path, root: Path, *, remove_archives: bool = False) -> PreparedBenchmark:
    """Unpack and place what `source` holds, and write the benchmark's samples. Given again, it goes on.

    Args:
        benchmark: which one.
        source: a download in any official layout: a snapshot of the hub, the authors' folders and zips.
        root: the folder of all benchmarks.
        remove_archives: delete each archive of `source` once its content is in place.

    Raises:
        SetupError: an archive is damaged, or there is no layout that is known.
    """
    if not source.is_dir():
        raise SetupError(f"--from {source}: is no folder; give the one into which {benchmark.name} was downloaded")
    folder = root / benchmark.name
    folder.mkdir(parents=True, exist_ok=True)
    archives = find_archives(source)
    for archive in archives:
        _unpack_once(archive, folder)
        if remove_archives:
            for file in archive.files:
                file.unlink()
    _place_files(source, folder, {file for archive in archives for file in archive.files})
    found = benchmark.convert(folder)
    if not found:
        raise SetupError(f"--from {source}: has none of {benchmark.name}'s layouts; it needs {benchmark.needs}")
    for set_name, samples in found.items():
        write_samples(folder / "samples" / f"{set_name}.jsonl", (_relative(sample, folder) for sample in samples))
    wanted = {sample.video.path for samples in found.values() for sample in samples if sample.video}
    missing = sorted(path for path in wanted if not Path(path).exists())
    return PreparedBenchmark(folder, {set_name: len(samples) for set_name, samples in found.items()}, missing)


def _unpack_once(archive: Archive, folder: Path) -> None:
    done = folder / _DONE
    finished: dict[str, Any] = json.loads(done.read_text("utf-8")) if done.is_file() else {}
    state = archive.state
    if finished.get(archive.name) == state:
        return
    unpack(archive, (folder / archive.name).parent)
    with atomic_write(done) as draft:
        draft.write_text(json.dumps(finished | {archive.name: state}, indent=1) + "\n", "utf-8")


def _place_files(source: Path, folder: Path, archives: set[Path]) -> None:
    """Bring the other files: linked where the file system can, else copied."""
    if source.resolve() == folder.resolve():
        return
    files = [path for path in source.rglob("*") if path.is_file() and path not in archives]
    for file in tqdm(files, "placing files", leave=False, delay=1):
        place = folder / file.relative_to(source)
        original = file.resolve()
        if place.is_file() and place.stat().st_size == original.stat().st_size:
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        try:
            os.link(original, place)
        except OSError:  # another disk, or a file system without links
            with atomic_write(place) as draft:
                shutil.copyfile(original, draft)


def _relative(sample: Sample, folder: Path) -> Sample:
    if sample.video is None:
        return sample
    video = sample.video
    changes = {"path": os.path.relpath(video.path, folder)}
    if video.subtitles:
        changes["subtitles"] = os.path.relpath(video.subtitles, folder)
    return sample.model_copy(update={"video": video.model_copy(update=changes)})
