"""The name of a sweep's cell: that of its task, and the settings that the sweep gave it."""

from typing import Final

__all__ = ["MARK", "plain_name"]

MARK: Final = "@"
"""Between a task's name and its settings, as in `qsv_demo@max_frames=64,fps=2.0`."""


def plain_name(task: str) -> str:
    """Return the name of the task that a cell is of, or of the task itself."""
    return task.partition(MARK)[0]
