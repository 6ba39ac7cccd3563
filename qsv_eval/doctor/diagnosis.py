"""Examine a benchmark and write its manifest."""

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
from qsv_eval.scoring.scorers import Choice
from qsv_eval.tasks.registry import all_tasks
from qsv_eval.tasks.task import Task

__all__ = ["Diagnosis", "diagnose", "print_diagnosis", "write_manifest"]

# MERGED DOCSTRINGS, to be worked into the one above:
# What the doctor found, in the terminal.


class Diagnosis(NamedTuple):
    """What was found."""

    benchmark: str
    samples: int
    entries: list[FileEntry]
    defects: list[Defect]


def diagnose(benchmark: str, *, threads: int | None = None) -> Diagnosis:
    """Examine all sets of a benchmark.

    Raises:
        SetupError: there is no such benchmark, or none of its samples is there.
    """
    sets = _sets(benchmark)
    samples: list[Sample] = []
    defects: list[Defect] = []
    missing: list[SetupError] = []
    for task in sets:
        try:
            found = task.benchmark.unchecked_samples(task.set_name)
        except SetupError as error:
            missing.append(error)
            continue
        samples += found
        defects += annotation_defects(found, needs_options=isinstance(task.scorer, Choice) and _has_options(found))
        defects += _image_defects(task, found)
    if not samples:
        raise missing[0]
    located = [sample for sample in samples if sample.video is not None]
    examined = list(check_files(located, threads=threads))
    defects += [defect for one in examined for defect in one.defects]
    return Diagnosis(benchmark, len(samples), [one.entry for one in examined if one.entry], defects)


def write_manifest(diagnosis: Diagnosis) -> Path | None:
    """Write sizes and hashes of the files that were examined; None where there is no folder for it."""
    root = data_root()
    if root is None or not (root / diagnosis.benchmark).is_dir():
        return None
    file = root / diagnosis.benchmark / "manifest.jsonl"
    lines = [json.dumps(entry._asdict()) for entry in sorted(diagnosis.entries)]
    file.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return file


def _sets(benchmark: str) -> list[Task]:
    """Return a task of each set of a benchmark."""
    tasks = {(task.benchmark.name, task.set_name): task for task in all_tasks().values()}
    found = [task for (name, _), task in tasks.items() if name == benchmark]
    if not found:
        known = ", ".join(sorted({name for name, _ in tasks}))
        raise SetupError(f"there is no benchmark {benchmark!r}; there are {known}")
    return found


def _has_options(samples: list[Sample]) -> bool:
    """Tell whether the annotations list options at all; some benchmarks write them into the question."""
    return any(sample.options for sample in samples)


def _image_defects(task: Task, samples: list[Sample]) -> Iterator[Defect]:
    ids = list(dict.fromkeys(sample.id for sample in samples))
    pictures = task.benchmark.load_images(task.set_name, ids)
    if pictures is None:
        return
    from datasets import Image as ImageFeature
    from datasets import List as ListFeature

    for name, feature in pictures.features.items():
        many = not isinstance(feature, ImageFeature)
        raw = ImageFeature(decode=False)
        pictures = pictures.cast_column(name, ListFeature(raw) if many else raw)
    wanted = {sample.id: sample.images for sample in samples}
    for id_, row in zip(ids, tqdm(pictures, "examining images", disable=None), strict=True):
        for name in wanted[id_]:
            for content in row[name] if isinstance(row[name], list) else [row[name]]:
                yield from _image_defect(id_, content)


def _image_defect(id_: str, content: dict[str, bytes] | None) -> Iterator[Defect]:
    if not content or not content.get("bytes"):
        yield Defect(DefectKind.IMAGE, id_, "none there")
        return
    try:
        read_image(content["bytes"])
    except (MediaError, Image.DecompressionBombError) as error:
        yield Defect(DefectKind.IMAGE, id_, str(error))


_SHOWN = 50


def print_diagnosis(found: Diagnosis, manifest: Path | None) -> None:
    """Print a table of defects, the first of them in full, and where the manifest is."""
    console = Console()
    console.print(f"{found.benchmark}: {found.samples} samples, {len(found.entries)} files readable")
    if found.defects:
        table = Table("defect", "where", "what", "samples")
        for defect in found.defects[:_SHOWN]:
            # Names and texts come from files: nothing in them is markup.
            table.add_row(defect.kind.value, Text(defect.where), Text(defect.detail), str(defect.samples))
        console.print(table)
        if len(found.defects) > _SHOWN:
            console.print(f"… and {len(found.defects) - _SHOWN} more; --json prints all")
        kinds = Counter(defect.kind.value for defect in found.defects)
        console.print(", ".join(f"{count} {kind}" for kind, count in kinds.most_common()))
    else:
        console.print("no defects")
    if manifest is not None:
        console.print(f"sizes and hashes are in {manifest}", soft_wrap=True, highlight=False)
