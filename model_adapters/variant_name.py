"""Names of a sweep's variants: the task's name, "@" and the settings, as in `qsv_demo@max_frames=64,fps=2.0`."""

from typing import Final

__all__ = ["MARK", "plain_name"]

MARK: Final = "@"
"""Separator between task and settings."""


def plain_name(task: str) -> str:
    """Return the task's name without the settings of a variant."""
    return task.partition(MARK)[0]
