"""Examination of a benchmark, its report in the terminal, and its manifest of files."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from rich.console import Console
from rich.table import Table
from rich.text import Text
from tqdm import tqdm

from qsv_eval.data.benchmark import data_root
from qsv_eval.data.sample import Sample
from qsv_eval.doctor.defects import Defect, DefectKind, FileEntry, annotation_defects, check_files
from qsv_eval.model_adapters.errors import MediaError, SetupError
from qsv_eval.model_adapters.frames import read_image
from qsv_eval.model_adapters.plurals import counted
from qsv_eval.scoring.scorers import Choice
from qsv_eval.tasks.registry import all_tasks
from qsv_eval.tasks.task import Task

__all__ = ["Diagnosis", "diagnose", "print_diagnosis", "write_manifest"]

_SHOWN = 50


class Diagnosis(NamedTuple):
    """Samples, readable files and defects of a benchmark."""

    benchmark: str
    samples: int
    entries: list[FileEntry]
    defects: list[Defect]


def diagnose(benchmark: str, *, threads: int | None = None) -> Diagnosis:
    """Examine all sets of a benchmark.

    Raises:
        SetupError: the benchmark is unknown, or none of its samples are diagnosis.
    """
    samples: list[Sample] = []
    defects: list[Defect] = []
    missing: list[SetupError] = []
    for task in _sets(benchmark):
        try:
            set_samples = task.benchmark.unchecked_samples(task.set_name)
        except SetupError as error:
            missing.append(error)
            continue
        samples += set_samples
        # Some benchmarks write the options into the question, so only annotated options are checked.
        needs_options = isinstance(task.scorer, Choice) and any(sample.options for sample in set_samples)
        defects += annotation_defects(set_samples, needs_options=needs_options)
        defects += _image_defects(task, set_samples)
    if not samples:
        raise missing[0]
    checks = list(check_files(samples, threads=threads))
    defects += [defect for check in checks for defect in check.defects]
    return Diagnosis(benchmark, len(samples), [check.entry for check in checks if check.entry], defects)


def write_manifest(diagnosis: Diagnosis) -> Path | None:
    """Write sizes and hashes of the readable files; None if the benchmark has no folder below QSV_DATA."""
    root = data_root()
    if root is None or not (root / diagnosis.benchmark).is_dir():
        return None
    file = root / diagnosis.benchmark / "manifest.jsonl"
    lines = [json.dumps(entry._asdict()) for entry in sorted(diagnosis.entries)]
    file.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return file


def _sets(benchmark: str) -> list[Task]:
    """Return one task for each set of a benchmark."""
    tasks = {(task.benchmark.name, task.set_name): task for task in all_tasks().values()}
    sets = [task for (name, _), task in tasks.items() if name == benchmark]
    if not sets:
        known = ", ".join(sorted({name for name, _ in tasks}))
        raise SetupError(f"there is no benchmark {benchmark!r}; there are {known}")
    return sets


def _image_defects(task: Task, samples: list[Sample]) -> Iterator[Defect]:
    """Yield the missing and unreadable images of a task's table."""
    ids = list(dict.fromkeys(sample.id for sample in samples))
    images = task.benchmark.load_images(task.set_name, ids)
    if images is None:
        return
    from datasets import Image as ImageFeature
    from datasets import List as ListFeature

    raw = ImageFeature(decode=False)
    for name, feature in images.features.items():
        images = images.cast_column(name, raw if isinstance(feature, ImageFeature) else ListFeature(raw))
    columns = {sample.id: sample.images for sample in samples}
    for id_, row in zip(ids, tqdm(images, "checking images", disable=None), strict=True):
        for name in columns[id_]:
            for content in row[name] if isinstance(row[name], list) else [row[name]]:
                yield from _image_defect(id_, content)


def _image_defect(id_: str, content: dict[str, bytes] | None) -> Iterator[Defect]:
    if not content or not content.get("bytes"):
        yield Defect(DefectKind.IMAGE, id_, "no content")
        return
    try:
        read_image(content["bytes"])
    except (MediaError, Image.DecompressionBombError) as error:
        yield Defect(DefectKind.IMAGE, id_, str(error))


def print_diagnosis(diagnosis: Diagnosis, manifest: Path | None) -> None:
    """Print a table of the first defects, their number by kind, and the path of the manifest."""
    console = Console()
    samples, files = counted(diagnosis.samples, "sample"), counted(len(diagnosis.entries), "readable file")
    console.print(f"{diagnosis.benchmark}: {samples}, {files}")
    if diagnosis.defects:
        table = Table("defect", "sample or file", "detail", "samples")
        for defect in diagnosis.defects[:_SHOWN]:
            # Text, because names and details come from files and may look like markup.
            table.add_row(defect.kind.value, Text(defect.where), Text(defect.detail), str(defect.samples))
        console.print(table)
        if len(diagnosis.defects) > _SHOWN:
            console.print(f"… and {len(diagnosis.defects) - _SHOWN} more; --json prints all")
        kinds = Counter(defect.kind.value for defect in diagnosis.defects)
        console.print(", ".join(f"{count} {kind}" for kind, count in kinds.most_common()))
    else:
        console.print("no defects")
    if manifest is not None:
        console.print(f"sizes and hashes of the files: {manifest}", soft_wrap=True, highlight=False)
