"""The samples and micro-batches of a run, planned from the configuration and the data files alone."""

from typing import NamedTuple

import numpy as np

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.frames import FrameRule
from qsv_eval.model_adapters.plurals import counted
from qsv_eval.model_adapters.quicksviewer import QuicksviewerConfig
from qsv_eval.training.data.batches import MicroBatches
from qsv_eval.training.data.cost import Size, Sizing, costs, frame_cost
from qsv_eval.training.data.media import MediaReader
from qsv_eval.training.data.mixture import Mixture, open_mixture
from qsv_eval.training.recipe import Recipe

__all__ = ["DataPlan", "InvalidSamples", "plan_data"]


class InvalidSamples(NamedTuple):
    """Samples of the data files that do not have the sample format."""

    samples: int
    first: str
    """Location of the first one and its error."""


class DataPlan(NamedTuple):
    """The data of a run."""

    mixture: Mixture
    sizing: Sizing
    sizes: list[Size]
    """Upper bounds of the size of every sample in the mixture."""
    invalid: InvalidSamples
    batches: MicroBatches
    """Micro-batches of the whole run, over all processes."""


def plan_data(recipe: Recipe, config: QuicksviewerConfig, frame_size: int) -> DataPlan:
    """Open the recipe's mixture and distribute its samples over micro-batches.

    Args:
        recipe: names the mixture, the frame rule and the batching.
        config: configuration of the model, from which the cost of a sample is computed.
        frame_size: side of the model's frames in pixels.

    Raises:
        SetupError: the mixture cannot be read, or has too few samples for one step.
    """
    rule = FrameRule(fps=recipe.fps, max_frames=recipe.max_frames)
    sizing = Sizing.of(config, rule)
    mixture = open_mixture(recipe.mixture, MediaReader(rule, frame_size))
    hints = mixture.hints()
    sizes = [sizing.size(hint) for hint in hints]
    errors = [hint.error for hint in hints if hint.error is not None]
    per_frame = frame_cost(config) if recipe.batching.frame_cost is None else recipe.batching.frame_cost
    batches = MicroBatches.plan(costs(np.array(sizes).reshape(-1, 2), per_frame), recipe.batching)
    if not len(batches):
        raise SetupError(
            f"mixture: {counted(len(mixture), 'sample')} cannot fill one step of "
            f"{counted(recipe.batching.micro_batches, 'micro-batch', 'micro-batches')}; lower batching.micro_batches, "
            "or raise batching.epochs or batching.steps"
        )
    return DataPlan(mixture, sizing, sizes, InvalidSamples(len(errors), errors[0] if errors else ""), batches)
