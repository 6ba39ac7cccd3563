"""Samples of a task as the dataset that lmms-eval iterates over."""

import os
from functools import cache
from typing import TYPE_CHECKING, Final

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.tasks.registry import task_named

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["SETUP_ERROR", "task_table"]

SETUP_ERROR: Final = "qsv_setup_error"
"""Column with the error message, in the one-row table of a task whose samples could not be read."""


def task_table(name: str) -> "Dataset":
    """Return the table of a task: `question_id`, `task`, `sample` (JSON), `answer`, and its images.

    A SetupError is returned as a row, which `doc_to_text` raises: lmms-eval would retry a failing table five times and
    then hide the message. The table is kept in memory, so that processes share no cache on disk.
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
    images = task.benchmark.load_images(task.set_name, [sample.id for sample in samples])
    return rows if images is None else concatenate_datasets([rows, images], axis=1)
