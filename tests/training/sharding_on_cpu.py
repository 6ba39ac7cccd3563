"""The command line for one of several CPU processes that shard a model with FSDP.

accelerate uses FSDP on accelerators only, so it is told that the CPUs are accelerators. Each process writes the
fraction of the parameters that it holds into the folder of the variable SHARES, and checks that the timeout between
processes is longer than the default of ten minutes.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType
from torch import distributed
from torch.distributed.tensor import DTensor

from qsv_eval.cli import main
from qsv_eval.training.trainer import QuicksviewerTrainer

original_init, original_loss = PartialState.__init__, QuicksviewerTrainer.compute_loss


def init_as_accelerator(self: PartialState, *args: Any, **options: Any) -> None:
    original_init(self, *args, **options)
    if self.distributed_type == DistributedType.MULTI_CPU:
        self.distributed_type = DistributedType.MULTI_XPU


def checked_loss(self: QuicksviewerTrainer, model: Any, *args: Any, **options: Any) -> Any:
    parameters = list(model.parameters())
    assert all(isinstance(p, DTensor) for p in parameters)
    fraction = sum(p.to_local().numel() for p in parameters) / sum(p.numel() for p in parameters)
    assert distributed.group.WORLD is not None
    timeout = distributed.group.WORLD._get_backend(torch.device("cpu")).options._timeout
    assert timeout >= timedelta(hours=16), timeout
    Path(os.environ["SHARES"], str(self.args.process_index)).write_text(str(fraction))
    return original_loss(self, model, *args, **options)


PartialState.__init__ = init_as_accelerator  # type: ignore[method-assign]
QuicksviewerTrainer.compute_loss = checked_loss  # type: ignore[method-assign]
main()
