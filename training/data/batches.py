"""Micro-batches of a run, filled by cost from a seeded shuffle of the samples.

A step is a fixed number of micro-batches, and all of them are planned before the first is read. So results do not
depend on the number of processes, and a resumed run skips finished micro-batches without reading them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qsv_eval.training.recipe import Batching

__all__ = ["MicroBatches", "SampleDraw", "fill_step"]


class SampleDraw(NamedTuple):
    """One use of a sample in a run."""

    sample: int
    """Index in the mixture."""
    serial: int
    """Number of draws before this one in the run; seeds the sample's randomness independently of the process."""


@dataclass(frozen=True)
class MicroBatches:
    """The micro-batches of a whole run; iterates as a batch sampler of torch's DataLoader."""

    batches: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[SampleDraw]]:
        serial = 0
        for batch in self.batches:
            yield [SampleDraw(sample, serial + i) for i, sample in enumerate(batch)]
            serial += len(batch)

    @property
    def samples(self) -> int:
        """Number of draws in the run; a repeated sample counts each time."""
        return sum(map(len, self.batches))

    @classmethod
    def plan(cls, costs_N: np.ndarray, batching: Batching) -> "MicroBatches":
        """Distribute samples of the given costs over steps.

        Every epoch is shuffled anew from the recipe's seed, and a step may span two epochs. Samples that do not fill
        the last step of the run are left out.
        """
        if not len(costs_N):
            return cls(())
        batches: list[tuple[int, ...]] = []
        order, waiting = _order(len(costs_N), batching), list[int]()
        steps = 0
        while batching.steps is None or steps < batching.steps:
            step, waiting = fill_step(costs_N, order, waiting, batching.micro_batches, batching.tokens)
            if len(step) < batching.micro_batches:
                break
            batches += step
            steps += 1
        return cls(tuple(batches))


def _order(samples: int, batching: Batching) -> Iterator[int]:
    epoch = 0
    while epoch < batching.epochs or batching.steps is not None:
        rng = np.random.default_rng((batching.seed, epoch))
        yield from rng.permutation(samples).tolist()
        epoch += 1


def fill_step(
    costs_N: np.ndarray, order: Iterator[int], waiting: Sequence[int], micro_batches: int, limit: int
) -> tuple[list[tuple[int, ...]], list[int]]:
    """Take samples for one step, and give each, largest first, to the micro-batch with the lowest cost.

    Args:
        costs_N: cost of every sample.
        order: further samples, taken as needed.
        waiting: samples that did not fit into the previous step; they are taken first.
        micro_batches: number of micro-batches to fill.
        limit: maximum cost of a micro-batch; a sample above it gets its own micro-batch.

    Returns:
        the micro-batches (fewer than requested when `order` ends) and the samples that did not fit.
    """
    taken = list(waiting)
    room = micro_batches * limit - sum(min(int(costs_N[sample]), limit) for sample in taken)
    while room > 0 or len(taken) < micro_batches:
        sample = next(order, None)
        if sample is None:
            break
        taken.append(sample)
        room -= min(int(costs_N[sample]), limit)
    bins: list[list[int]] = [[] for _ in range(micro_batches)]
    loads = np.zeros(micro_batches)
    left = []
    for sample in sorted(taken, key=lambda sample: (-costs_N[sample], sample)):
        lightest = int(np.argmin(loads))
        if bins[lightest] and loads[lightest] + costs_N[sample] > limit:
            left.append(sample)
            continue
        bins[lightest].append(sample)
        loads[lightest] += costs_N[sample]
    return [tuple(batch) for batch in bins if batch], left
