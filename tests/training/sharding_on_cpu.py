"""The command line for one of several CPU processes, which accelerate is told may shard a model.

It shards with FSDP over accelerators only; from there on nothing knows what the devices are. Each process writes down,
in the folder that SHARES names, which share of all parameters it holds. And the processes must be patient with each
other: the ten minutes of the default end a run in which one reads or draws for longer.
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

joins, plain = PartialState.__init__, QuicksviewerTrainer.compute_loss


def joining(self: PartialState, *args: Any, **options: Any) -> None:
    joins(self, *args, **options)
    if self.distributed_type == DistributedType.MULTI_CPU:
        self.distributed_type = DistributedType.MULTI_XPU


def noting(self: QuicksviewerTrainer, model: Any, *args: Any, **options: Any) -> Any:
    parameters = list(model.parameters())
    assert all(isinstance(one, DTensor) for one in parameters)
    share = sum(one.to_local().numel() for one in parameters) / sum(one.numel() for one in parameters)
    assert distributed.group.WORLD is not None
    patience = distributed.group.WORLD._get_backend(torch.device("cpu")).options._timeout
    assert patience >= timedelta(hours=16), patience
    Path(os.environ["SHARES"], str(self.args.process_index)).write_text(str(share))
    return plain(self, model, *args, **options)


PartialState.__init__ = joining  # type: ignore[method-assign]
QuicksviewerTrainer.compute_loss = noting  # type: ignore[method-assign]
main()
