"""The processes of a run: how many there are, and how they tell each other what they know."""

import os
from datetime import timedelta
from typing import Any, TypeVar

from accelerate import PartialState
from accelerate.utils import InitProcessGroupKwargs, gather_object

from qsv_eval.model_adapters.errors import SetupError

__all__ = ["all_gather", "join", "rank", "world_size"]

_T = TypeVar("_T")

# As lmms-eval's command line has it: processes that are done wait for the slowest, and the default of ten minutes
# would end a run that is nearly complete.
_PATIENCE = timedelta(seconds=60_000)


def rank() -> int:
    """Return this process's number among all processes on all machines."""
    return int(os.environ.get("RANK", 0))


def world_size() -> int:
    """Return the number of processes on all machines."""
    return int(os.environ.get("WORLD_SIZE", 1))


def join(*, on_cpu: bool) -> None:
    """Meet the other processes that the launcher started; nothing to do if there is none, or if they have met."""
    if world_size() == 1:
        return
    if not {"MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
        raise SetupError(
            f"WORLD_SIZE is {world_size()}, but MASTER_ADDR and MASTER_PORT are not set: start the processes by "
            "qsv-eval run --processes N, accelerate launch or torchrun"
        )
    # A process group that lmms-eval has made stays as it is.
    PartialState(cpu=on_cpu, **InitProcessGroupKwargs(timeout=_PATIENCE).to_kwargs())


def all_gather(mine: _T) -> list[_T]:
    """Return what every process gives, in order of their numbers; each must call this equally often."""
    if world_size() == 1:
        return [mine]
    gathered: list[Any] = gather_object([mine])
    return gathered
