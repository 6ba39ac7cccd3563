"""What the doctor found, in the terminal."""

from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from qsv_eval.doctor.examine import Diagnosis

__all__ = ["print_diagnosis"]

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
