"""Which samples make up which forward pass: filled by cost, in a random order that is the same at every start.

A step is a fixed number of micro-batches, however many processes share them, and every micro-batch is worked out here,
before the first one is read. So the course of a run does not depend on the number of processes, and resuming is
skipping: nothing that was learned from is read again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qsv_eval.training.recipe import Batching

__all__ = ["MicroBatches", "SampleDraw", "fill_step"]


class SampleDraw(NamedTuple):
    """A sample's turn in a run."""

    sample: int
    """Its number in the mixture."""
    serial: int
    """How many came before: seeds whatever is random about it, so that processes and resuming change nothing."""


@dataclass(frozen=True)
class MicroBatches:
    """Micro-batches of a whole run, as lists of draws; a batch sampler for torch's DataLoader."""

    batches: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[SampleDraw]]:
        serial = 0
        for batch in self.batches:
            yield [SampleDraw(sample, serial + place) for place, sample in enumerate(batch)]
            serial += len(batch)

    @property
    def samples(self) -> int:
        """Samples of the run, each as often as it comes."""
        return sum(map(len, self.batches))

    @classmethod
    def plan(cls, costs_N: np.ndarray, batching: Batching) -> "MicroBatches":
        """Deal samples of the given costs into steps.

        Every epoch is a shuffle of its own, seeded by the recipe; the last samples of an epoch fill a step with the
        first of the next. What does not fill the last step of the run is left out.
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
    """Take samples for one step, and deal the largest first to whichever micro-batch has least.

    Args:
        costs_N: cost of every sample.
        order: samples to come.
        waiting: samples that did not fit into the step before; they go first.
        micro_batches: how many to fill.
        limit: cost of a micro-batch at the most; a sample that is larger alone gets one of its own.

    Returns:
        the micro-batches, fewer than wanted when `order` ends, and the samples that did not fit.
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
    for sample in sorted(taken, key=lambda one: (-costs_N[one], one)):
        lightest = int(np.argmin(loads))
        if bins[lightest] and loads[lightest] + costs_N[sample] > limit:
            left.append(sample)
            continue
        bins[lightest].append(sample)
        loads[lightest] += costs_N[sample]
    return [tuple(one) for one in bins if one], left
