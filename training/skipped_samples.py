"""Log files of skipped samples, with step and reason."""

import json
from collections.abc import Sequence
from pathlib import Path

__all__ = ["SkippedFile", "rewind"]


class SkippedFile:
    """The file `skipped-RANK.jsonl` of one process."""

    def __init__(self, folder: Path, process: int) -> None:
        self.path = folder / f"skipped-{process}.jsonl"

    def add(self, step: int, reasons: Sequence[str]) -> None:
        """Append the skipped samples of a step."""
        if reasons:
            with self.path.open("a") as file:
                file.writelines(json.dumps({"step": step, "reason": reason}) + "\n" for reason in reasons)


def rewind(folder: Path, step: int) -> int:
    """Remove the lines of `step` and later from all processes' files; return the number of remaining lines."""
    kept = 0
    for path in folder.glob("skipped-*.jsonl"):
        lines = path.read_text().splitlines(keepends=True)
        before = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] < step]
        path.write_text("".join(before))
        kept += len(before)
    return kept
