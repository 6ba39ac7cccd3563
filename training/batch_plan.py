"""Which samples a recipe goes through, in which micro-batches: worked out from configuration and data files alone."""

from typing import NamedTuple

import numpy as np

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.frames import FrameRule
from qsv_eval.model_adapters.quicksviewer import QuicksviewerConfig
from qsv_eval.training.data.batches import MicroBatches
from qsv_eval.training.data.cost import Size, Sizing, costs, frame_cost
from qsv_eval.training.data.media import MediaReader
from qsv_eval.training.data.mixture import Mixture, open_mixture
from qsv_eval.training.recipe import Recipe

__all__ = ["DataPlan", "InvalidSamples", "plan_data"]


class InvalidSamples(NamedTuple):
    """Lines of the data files that are no samples."""

    samples: int
    first: str
    """Where the first is, and what is wrong with it."""


class DataPlan(NamedTuple):
    """A run's data."""

    mixture: Mixture
    sizing: Sizing
    sizes: list[Size]
    """Of every sample of the mixture, at the most."""
    broken: InvalidSamples
    batches: MicroBatches
    """Of the whole run, on all processes."""


def plan_data(recipe: Recipe, config: QuicksviewerConfig, frame_size: int) -> DataPlan:
    """Open the recipe's mixture and deal its samples into micro-batches.

    Args:
        recipe: what to learn from, and how.
        config: of the model, which decides what a sample costs.
        frame_size: side of the frames that the model takes, in pixels.

    Raises:
        SetupError: the mixture cannot be read, naming the file and the line, or does not fill a step.
    """
    rule = FrameRule(fps=recipe.fps, max_frames=recipe.max_frames)
    sizing = Sizing.of(config, rule)
    mixture = open_mixture(recipe.mixture, MediaReader(rule, frame_size))
    hints = mixture.hints()
    sizes = [sizing.size(hint) for hint in hints]
    reasons = [hint.broken for hint in hints if hint.broken is not None]
    per_frame = frame_cost(config) if recipe.batching.frame_cost is None else recipe.batching.frame_cost
    batches = MicroBatches.plan(costs(np.array(sizes).reshape(-1, 2), per_frame), recipe.batching)
    if not len(batches):
        raise SetupError(
            f"mixture: {len(mixture)} samples do not fill a step of {recipe.batching.micro_batches} micro-batches; "
            "give fewer (batching.micro_batches), or go round more often (batching.epochs, batching.steps)"
        )
    return DataPlan(mixture, sizing, sizes, InvalidSamples(len(reasons), reasons[0] if reasons else ""), batches)
