"""The tasks by name: `task.py` in the folder of a task file says what the task means."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module

from qsv_eval.data.benchmark import Benchmark
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.variant_name import plain_name
from qsv_eval.tasks import task_files
from qsv_eval.tasks.task import Task

__all__ = ["all_tasks", "benchmark_named", "task_named"]


@cache
def task_named(name: str) -> Task:
    """Return a task; KeyError where there is none of the name. A variant, `NAME@…`, is asked and scored as NAME is."""
    plain = plain_name(name)
    tasks: Mapping[str, Task] = import_module(f"qsv_eval.tasks.{task_files()[plain].parent.name}.task").TASKS
    return replace(tasks[plain], name=name)


def all_tasks() -> dict[str, Task]:
    """Return every task by its name."""
    return {name: task_named(name) for name in task_files()}


def benchmark_named(name: str) -> Benchmark:
    """Return a benchmark whose media are files; SetupError where there is none of the name."""
    known = {task.benchmark.name: task.benchmark for task in all_tasks().values()}
    found = known.get(name)
    if isinstance(found, Benchmark):
        return found
    if found is not None:
        raise SetupError(f"{name}: there is nothing to prepare; its table is read as it is")
    raise SetupError(f"there is no benchmark {name!r}; there are {', '.join(sorted(known))}")
