"""Samples that were left out: written down as they are met, with the step and the reason."""

import json
from collections.abc import Sequence
from pathlib import Path

__all__ = ["SkippedFile", "rewind"]


class SkippedFile:
    """`skipped-RANK.jsonl` of one process."""

    def __init__(self, folder: Path, process: int) -> None:
        self.path = folder / f"skipped-{process}.jsonl"

    def add(self, step: int, reasons: Sequence[str]) -> None:
        """Append what a step left out."""
        if reasons:
            with self.path.open("a") as file:
                file.writelines(json.dumps({"step": step, "reason": one}) + "\n" for one in reasons)


def rewind(folder: Path, step: int) -> int:
    """Take back what all processes wrote of a step and of those after it, which come again; return what is left."""
    kept = 0
    for path in folder.glob("skipped-*.jsonl"):
        lines = path.read_text().splitlines(keepends=True)
        before = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] < step]
        path.write_text("".join(before))
        kept += len(before)
    return kept
