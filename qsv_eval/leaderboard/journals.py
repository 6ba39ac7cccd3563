"""The journal beside a run's results: the frames and cubes of single answers."""

import json
import re
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Final

from qsv_eval.model_adapters.engine.journal import Fate, Record

__all__ = ["journal_beside", "read_records"]

_RUN_FILE, _JOURNAL = "run.json", "journal"
_SAMPLE_ID: Final = re.compile(rb'"sample_id":\s?("(?:[^"\\]|\\.)*")')


def journal_beside(results: Path) -> Path | None:
    """Return the journal of the run that a results file is of: in its output folder, which may be one further up."""
    for folder in (results.parent, results.parent.parent):
        if (folder / _RUN_FILE).is_file() and (folder / _JOURNAL).is_dir():
            return folder / _JOURNAL
    return None


def read_records(journal: Path, wanted: Mapping[str, Set[str]]) -> dict[tuple[str, str], Record]:
    """Return the answers to questions by task and id, the last one of each; `wanted` has the ids by task.

    The journal is read as a stream, and only lines with a wanted id are taken apart.
    """
    ids = frozenset().union(*wanted.values())
    return {
        (record.task, record.sample_id): record
        for record in _answers(journal, ids)
        if record.repeat == 0 and record.sample_id in wanted.get(record.task, ())
    }


def _answers(journal: Path, ids: Set[str]) -> Iterator[Record]:
    for path in sorted(journal.glob("*.jsonl")):
        with path.open("rb") as lines:
            for line in lines:
                found = _SAMPLE_ID.search(line)
                try:
                    if found is None or json.loads(found[1]) not in ids:
                        continue
                    record = Record.model_validate_json(line)
                except ValueError:
                    continue  # a line that a kill has torn
                if record.fate is Fate.ANSWERED:
                    yield record
