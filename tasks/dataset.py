"""A task's questions as the table that lmms-eval walks through."""

import os
from functools import cache
from typing import TYPE_CHECKING, Final

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.tasks.registry import task_named

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["SETUP_ERROR", "task_table"]

SETUP_ERROR: Final = "qsv_setup_error"
"""The column of a table that stands for one that could not be had. It holds the message."""


def task_table(name: str) -> "Dataset":
    """Return the table of a task: `question_id`, `task`, `sample` (JSON), `answer`, and its images.

    lmms-eval tries five times to load a table, seconds apart, and then reports only that it tried. The first place
    where an exception comes through at once and unchanged is the first row's `doc_to_text`, so a SetupError's message
    travels there as that row. The table is in memory: a few thousand rows need no cache on a disk that processes share.
    """
    try:
        return _task_table(name, os.environ.get("QSV_DATA"))
    except SetupError as error:
        from datasets import Dataset

        return Dataset.from_list([{SETUP_ERROR: str(error)}])


@cache
def _task_table(name: str, root: str | None) -> "Dataset":
    from datasets import Dataset, concatenate_datasets

    task = task_named(name)
    samples = task.samples()
    rows = Dataset.from_list(
        [
            {
                "question_id": sample.id,
                "task": name,
                "sample": sample.model_dump_json(exclude_defaults=True),
                "answer": sample.answer,
            }
            for sample in samples
        ]
    )
    pictures = task.benchmark.load_images(task.set_name, [sample.id for sample in samples])
    return rows if pictures is None else concatenate_datasets([rows, pictures], axis=1)
