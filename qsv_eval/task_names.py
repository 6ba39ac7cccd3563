"""Tasks by name; lmms-eval is imported only to tell its own names from unknown ones."""

import difflib
import fnmatch
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.tasks import FOLDER, task_files

if TYPE_CHECKING:
    from lmms_eval.tasks import TaskManager

__all__ = [
    "FOREIGN",
    "TaskSelection",
    "all_names",
    "members",
    "own_tags",
    "quiet_lmms_eval",
    "refuse_unknown",
    "select",
    "task_manager",
    "unknown_task",
]

FOREIGN = "lmms-eval/"
"""Prefix that asks for lmms-eval's own task where one of ours has the short name."""


class TaskSelection(NamedTuple):
    """The tasks of a run."""

    names: list[str]
    """As lmms-eval knows them."""
    foreign: bool
    """Whether any is lmms-eval's own, so that its 1,300 task files must be indexed."""


def own_tags() -> dict[str, list[str]]:
    """Return the tags of our tasks, each with the tasks that have it, for which it stands."""
    found: dict[str, list[str]] = {}
    for task, path in task_files().items():
        for line in path.read_text("utf-8").splitlines():
            if line.startswith("tag:"):
                for tag in line.removeprefix("tag:").strip(" []").split(","):
                    found.setdefault(tag.strip(), []).append(task)
    return found


def members(names: Iterable[str]) -> list[str]:
    """Return the tasks that names stand for: a tag of ours for several, anything else for itself."""
    tags = own_tags()
    return list(dict.fromkeys(task for name in names for task in tags.get(name, [name])))


def select(names: Iterable[str]) -> TaskSelection:
    """Resolve names: `qsv_videomme` and `videomme` mean ours, `lmms-eval/videomme` theirs, as does what is not ours."""
    own = task_files()
    selected, foreign = [], False
    for name in names:
        if name.startswith(FOREIGN):
            selected.append(name.removeprefix(FOREIGN))
            foreign = True
        elif name in own or name in own_tags():
            selected.append(name)
        elif f"qsv_{name}" in own:
            selected.append(f"qsv_{name}")
        elif name.startswith("qsv_"):
            raise unknown_task(name, own)
        else:
            selected.append(name)
            foreign = True
    if not selected:
        raise SetupError("no task was named; `qsv-eval tasks` lists them")
    return TaskSelection(list(dict.fromkeys(selected)), foreign)


def refuse_unknown(selection: TaskSelection) -> None:
    """Refuse names that are neither ours nor lmms-eval's, whose names may be patterns.

    Raises:
        SetupError: there is no such task.
    """
    for name in selection.names if selection.foreign else ():
        if not fnmatch.filter(all_names(), name):
            raise unknown_task(name, all_names())


def all_names() -> Sequence[str]:
    """Return every name that lmms-eval knows with our tasks on its path: tasks, groups, tags."""
    return tuple(task_manager().all_tasks)


@cache
def task_manager() -> "TaskManager":
    """Return lmms-eval's index of its tasks and ours. It takes seconds once."""
    from lmms_eval.tasks import TaskManager

    quiet_lmms_eval()
    return TaskManager("WARNING", include_path=str(FOLDER))


def quiet_lmms_eval() -> None:
    """Let lmms-eval speak only of trouble; it logs through loguru and resets it when it is imported."""
    from loguru import logger

    logger.remove()
    logger.add(sys.stderr, level="WARNING", format="{level}: {message}")


def unknown_task(name: str, known: Iterable[str]) -> SetupError:
    """Return the error for a task that is not there."""
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else "`qsv-eval tasks` lists ours"
    return SetupError(f"there is no task {name!r}; {hint}")
