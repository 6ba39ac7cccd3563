"""The journal beside a run's results: the frames and cubes of single answers."""

import json
import re
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from qsv_eval.model_adapters.engine.journal import Fate, Record
from qsv_eval.runfolders import RUN_FILE

__all__ = ["journal_beside", "read_records"]

_JOURNAL: Final = "journal"
_TEXT: Final = rb'("(?:[^"\\]|\\.)*")'
_TASK: Final = re.compile(rb'"task": ?' + _TEXT)
_SAMPLE: Final = re.compile(rb'"sample_id": ?' + _TEXT)


def journal_beside(results: Path) -> Path | None:
    """Return the journal of the run that a results file is of: in its output folder, which may be one further up."""
    for folder in (results.parent, results.parent.parent):
        if (folder / RUN_FILE).is_file() and (folder / _JOURNAL).is_dir():
            return folder / _JOURNAL
    return None


def read_records(journal: Path, wanted: Mapping[str, Set[str]]) -> dict[tuple[str, str], Record]:
    """Return the answers to questions by task and id, the last one of each; `wanted` has the ids by task.

    The journal is read as a stream, and only lines that name a wanted question are taken apart.
    """
    names = {(_written(task), _written(one)) for task, ids in wanted.items() for one in ids}
    if not names:
        return {}
    return {(record.task, record.sample_id): record for record in _answers(journal, names) if record.repeat == 0}


def _answers(journal: Path, names: Set[tuple[bytes, bytes]]) -> Iterator[Record]:
    ids = {sample_id for _, sample_id in names}
    for path in sorted(journal.glob("*.jsonl")):
        with path.open("rb") as lines:
            for line in lines:
                # Two searches, each for a beginning that is found at once; one pattern for both goes letter by letter.
                sample = _SAMPLE.search(line)
                if sample is None or sample[1] not in ids:
                    continue
                task = _TASK.search(line)
                if task is None or (task[1], sample[1]) not in names:
                    continue
                try:
                    record = Record.model_validate_json(line)
                except ValidationError:
                    continue  # a line that a kill has torn
                if record.fate is Fate.ANSWERED:
                    yield record


def _written(text: str) -> bytes:
    """Return a text as the journal writes it."""
    return json.dumps(text).encode("ascii")
