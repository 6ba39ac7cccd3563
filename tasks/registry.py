"""Tasks by name; each is defined by `task.py` in the folder of its task file."""

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
    """Return a task; KeyError if the name is unknown. A variant, `NAME@…`, has the prompt and scorer of NAME."""
    plain = plain_name(name)
    tasks: Mapping[str, Task] = import_module(f"qsv_eval.tasks.{task_files()[plain].parent.name}.task").TASKS
    return replace(tasks[plain], name=name)


def all_tasks() -> dict[str, Task]:
    """Return all tasks by name."""
    return {name: task_named(name) for name in task_files()}


def benchmark_named(name: str) -> Benchmark:
    """Return a benchmark whose media are files; SetupError if there is none of this name."""
    benchmarks = {task.benchmark.name: task.benchmark for task in all_tasks().values()}
    benchmark = benchmarks.get(name)
    if isinstance(benchmark, Benchmark):
        return benchmark
    if benchmark is not None:
        raise SetupError(f"{name}: nothing to prepare; its table is read directly")
    raise SetupError(f"there is no benchmark {name!r}; there are {', '.join(sorted(benchmarks))}")
