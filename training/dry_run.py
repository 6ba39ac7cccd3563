"""What a recipe would do, before anything is loaded: what learns, from what, for how long, and in how much memory."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from transformers import AutoConfig, PreTrainedConfig

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.quicksviewer import QuicksviewerConfig
from qsv_eval.model_adapters.quicksviewer.modeling import QuicksviewerForConditionalGeneration
from qsv_eval.model_adapters.quicksviewer.prompt_tokens import VISION_TOKENS
from qsv_eval.training.batch_plan import InvalidSamples, plan_data
from qsv_eval.training.data.batches import MicroBatches
from qsv_eval.training.data.cost import Size
from qsv_eval.training.data.mixture import MixturePart
from qsv_eval.training.param_groups import ParamGroupSize, group_sizes, set_trainable
from qsv_eval.training.recipe import Recipe
from qsv_eval.training.setup import change_config, check_options

__all__ = ["Memory", "MixtureAmount", "RunForecast", "StepSamples", "forecast_run", "print_forecast"]


class MixtureAmount(NamedTuple):
    """What comes from one entry of the mixture, by what the samples show."""

    source: str
    modality: str
    samples: int
    tokens: int
    """At the most, visual ones included."""
    frames: int


class Memory(NamedTuple):
    """Bytes on one GPU."""

    state: int
    """Weights, gradients and the optimizer's two moments."""
    activations: int
    """Of the largest micro-batch, with checkpointing as the recipe says."""


class StepSamples(NamedTuple):
    """How many samples a step has."""

    mean: float
    least: int
    most: int


class RunForecast(NamedTuple):
    """What a run would be."""

    parts: list[ParamGroupSize]
    sources: list[MixtureAmount]
    broken: InvalidSamples
    steps: int
    samples: int
    micro_batches: int
    a_step: StepSamples
    whole: Memory
    """Every process holds everything (DDP)."""
    sharded: Memory
    """State spread over `processes` (FSDP)."""
    processes: int


def forecast_run(recipe: Recipe, processes: int = 8) -> RunForecast:
    """Work a recipe out from configurations and data files alone.

    Raises:
        SetupError: the run would not begin: its options, its start or its data do not fit.
    """
    check_options(recipe)
    config = _config(recipe)
    with torch.device("meta"):
        model = QuicksviewerForConditionalGeneration(config)
        rows = range(config.text_config.vocab_size - len(VISION_TOKENS), config.text_config.vocab_size)
        set_trainable(model, recipe.rates, rows)
    parts = list(group_sizes(model))
    sources: list[MixtureAmount] = []
    sizes: list[Size] = []
    broken, plan = InvalidSamples(0, ""), MicroBatches(())
    if recipe.mixture:
        mixture, _, sizes, broken, plan = plan_data(recipe, config, config.vision_config.image_size)
        sources = _amounts(mixture.parts, sizes)
    largest = max((sum(sizes[sample].tokens for sample in batch) for batch in plan.batches), default=recipe.max_length)
    return RunForecast(
        parts,
        sources,
        broken,
        len(plan) // recipe.batching.micro_batches,
        plan.samples,
        recipe.batching.micro_batches,
        _samples_a_step(plan, recipe.batching.micro_batches),
        Memory(_state_bytes(parts, recipe), _activation_bytes(config, recipe, largest)),
        Memory(_state_bytes(parts, recipe, sharded=True) // processes, _activation_bytes(config, recipe, largest)),
        processes,
    )


def _config(recipe: Recipe) -> QuicksviewerConfig:
    start = recipe.start
    try:
        if start.checkpoint is not None:
            config = AutoConfig.from_pretrained(start.checkpoint)
            change_config(config, recipe)
        elif start.language_model is not None and start.vision_tower is not None:
            text: PreTrainedConfig = AutoConfig.from_pretrained(start.language_model)
            vision = AutoConfig.from_pretrained(start.vision_tower)
            vision = getattr(vision, "vision_config", vision)
            config = QuicksviewerConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), **recipe.model)
        else:
            raise SetupError(f"{recipe.name}: give start.checkpoint=FOLDER, the end of the stage before")
    except (OSError, ValueError) as error:
        raise SetupError(f"{recipe.name}: the configuration to start from cannot be read: {error}") from error
    if not isinstance(config, QuicksviewerConfig):
        raise SetupError(f"{start.checkpoint}: is a {config.model_type}, not a Quicksviewer")
    return config


def _amounts(parts: Sequence[MixturePart], sizes: Sequence[Size]) -> list[MixtureAmount]:
    found: dict[tuple[int, str], MixtureAmount] = {}
    of = iter(sizes)
    for part in parts:
        for hint, size in zip(part.hints, of, strict=False):
            modality = hint.modality if hint.broken or not part.entry.modality else part.entry.modality
            before = found.get((part.place, modality), MixtureAmount(part.entry.path, modality, 0, 0, 0))
            found[part.place, modality] = before._replace(
                samples=before.samples + 1,
                tokens=before.tokens + size.tokens,
                frames=before.frames + size.frames,
            )
    return list(found.values())


def _samples_a_step(plan: MicroBatches, micro_batches: int) -> StepSamples:
    lengths = [len(batch) for batch in plan.batches]
    steps = [sum(lengths[begin : begin + micro_batches]) for begin in range(0, len(lengths), micro_batches)]
    return StepSamples(sum(steps) / len(steps), min(steps), max(steps)) if steps else StepSamples(0, 0, 0)


def _state_bytes(parts: list[ParamGroupSize], recipe: Recipe, *, sharded: bool = False) -> int:
    """Return bytes of what does not depend on the batch: 16 a trained parameter, and the frozen ones as they lie.

    FSDP's units hold one type each, so that what is frozen stays float32 there.
    """
    frozen = 2 if recipe.dtype == "bfloat16" and not sharded else 4
    return sum(16 * part.trainable + frozen * (part.parameters - part.trainable) for part in parts)


def _activation_bytes(config: QuicksviewerConfig, recipe: Recipe, tokens: int) -> int:
    """Return bytes of activations of a micro-batch: layer inputs, one layer at work, a chunk of frames, logits."""
    text, vision = config.text_config, config.vision_config
    width = 2 if recipe.dtype == "bfloat16" else 4
    patches = (vision.image_size // vision.patch_size) ** 2
    layer = width * (8 * text.hidden_size + 3 * text.intermediate_size)
    layers = text.num_hidden_layers
    language = tokens * (layer + width * text.hidden_size * layers if recipe.checkpointing else layer * layers)
    tower = width * (10 * vision.hidden_size + 2 * vision.intermediate_size) * patches * vision.num_hidden_layers
    frames = recipe.chunk_frames if recipe.checkpointing else recipe.max_frames
    seen = frames * tower if recipe.rates.vision_tower is not None else 0
    kept = recipe.max_frames * config.num_queries * (text.hidden_size + vision.hidden_size) * 4
    if recipe.rates.vision_tower is None:  # the tower's features are kept for the backward pass
        kept += recipe.max_frames * config.grid_size**2 * vision.hidden_size * width
    logits = min(tokens, 2048) * text.vocab_size * 4 * 2
    return int(language + seen + kept + logits)


def print_forecast(found: RunForecast, console: Console | None = None) -> None:
    """Print it as tables."""
    console = console or Console()
    parts = Table("part", "parameters", "trained", title="What learns")
    for part in found.parts:
        parts.add_row(part.part, _millions(part.parameters), _millions(part.trainable) if part.trainable else "")
    parts.add_section()
    total = sum(part.parameters for part in found.parts), sum(part.trainable for part in found.parts)
    parts.add_row("all", *map(_millions, total))
    console.print(parts)
    if found.sources:
        sources = Table("source", "shows", "samples", "tokens, at the most", "frames", title="What from")
        for amount in found.sources:
            sources.add_row(escape(amount.source), amount.modality, *(f"{number:,}" for number in amount[2:]))
        console.print(sources)
        if found.broken.samples:
            first = escape(found.broken.first)
            console.print(f"{found.broken.samples:,} of them are no samples, the first: {first}")
        totals: defaultdict[str, int] = defaultdict(int)
        for amount in found.sources:
            totals[amount.modality] += amount.samples
        shares = ", ".join(f"{samples:,} {modality}" for modality, samples in sorted(totals.items()))
        console.print(
            f"{found.steps:,} steps of {found.micro_batches} micro-batches with {found.samples:,} samples; of {shares}"
        )
        mean, least, most = found.a_step
        console.print(f"Samples a step: {mean:,.0f} in the mean, {least:,} to {most:,}; the reference had about 48.")
    else:
        console.print("No mixture was given, so there are no steps to count.")
    whole, sharded = found.whole, found.sharded
    console.print(
        f"Memory of a GPU, estimated: {_gib(whole.state)} of weights, gradients and moments and "
        f"{_gib(whole.activations)} of activations; sharded over {found.processes} (FSDP) "
        f"{_gib(sharded.state)} and {_gib(sharded.activations)}"
    )


def _millions(number: int) -> str:
    return f"{number / 1e6:,.2f} M"


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
