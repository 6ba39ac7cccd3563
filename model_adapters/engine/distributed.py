"""The processes of a run: rank, number, and exchange of values."""

import os
from datetime import timedelta
from typing import Any, TypeVar

from accelerate import PartialState
from accelerate.utils import InitProcessGroupKwargs, gather_object

from qsv_eval.model_adapters.errors import SetupError

__all__ = ["all_gather", "join", "rank", "world_size"]

_T = TypeVar("_T")

# The same timeout as lmms-eval's command line: finished processes wait for the slowest, and the default of ten minutes
# would end a run that is nearly complete.
_TIMEOUT = timedelta(seconds=60_000)


def rank() -> int:
    """Return this process's index among all processes on all machines."""
    return int(os.environ.get("RANK", 0))


def world_size() -> int:
    """Return the number of processes on all machines."""
    return int(os.environ.get("WORLD_SIZE", 1))


def join(*, on_cpu: bool) -> None:
    """Join the process group of the launcher; does nothing for a single process or if it has joined already."""
    if world_size() == 1:
        return
    if not {"MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
        raise SetupError(
            f"WORLD_SIZE is {world_size()}, but MASTER_ADDR and MASTER_PORT are not set: start the processes with "
            "qsv-eval run --processes N, accelerate launch or torchrun"
        )
    # A process group that lmms-eval has made stays as it is.
    PartialState(cpu=on_cpu, **InitProcessGroupKwargs(timeout=_TIMEOUT).to_kwargs())


def all_gather(value: _T) -> list[_T]:
    """Return the values of all processes by rank. Every process must make the same number of calls."""
    if world_size() == 1:
        return [value]
    gathered: list[Any] = gather_object([value])
    return gathered
