"""Forecast of a training run without loading weights: trained parameters, data, steps and GPU memory."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from transformers import AutoConfig, PreTrainedConfig

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.plurals import counted
from qsv_eval.model_adapters.quicksviewer import QuicksviewerConfig
from qsv_eval.model_adapters.quicksviewer.modeling import QuicksviewerForConditionalGeneration
from qsv_eval.model_adapters.quicksviewer.prompt_tokens import VISION_TOKENS
from qsv_eval.training.batch_plan import InvalidSamples, plan_data
from qsv_eval.training.data.batches import MicroBatches
from qsv_eval.training.data.cost import Size
from qsv_eval.training.data.mixture import MixturePart
from qsv_eval.training.param_groups import ParamGroupSize, group_sizes, set_trainable
from qsv_eval.training.recipe import Recipe
from qsv_eval.training.setup import NO_START, change_config, check_options

__all__ = ["Memory", "MixtureAmount", "RunForecast", "StepSamples", "forecast_run", "print_forecast"]


class MixtureAmount(NamedTuple):
    """Samples of one modality in one entry of the mixture."""

    source: str
    modality: str
    samples: int
    tokens: int
    """Upper bound, visual tokens included."""
    frames: int


class Memory(NamedTuple):
    """Estimated bytes on one GPU."""

    state: int
    """Weights, gradients and the optimizer's two moments."""
    activations: int
    """Activations of the largest micro-batch, with the recipe's checkpointing."""


class StepSamples(NamedTuple):
    """Number of samples in a step."""

    mean: float
    minimum: int
    maximum: int


class RunForecast(NamedTuple):
    """Forecast of a training run."""

    parts: list[ParamGroupSize]
    sources: list[MixtureAmount]
    invalid: InvalidSamples
    steps: int
    samples: int
    micro_batches: int
    samples_per_step: StepSamples
    replicated: Memory
    """Memory if every process holds the whole state (DDP)."""
    sharded: Memory
    """Memory if the state is sharded over `processes` (FSDP)."""
    processes: int


def forecast_run(recipe: Recipe, processes: int = 8) -> RunForecast:
    """Forecast a recipe's run from configurations and data files.

    Raises:
        SetupError: the run could not start, because of its options, its starting checkpoint or its data.
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
    invalid, plan = InvalidSamples(0, ""), MicroBatches(())
    if recipe.mixture:
        mixture, _, sizes, invalid, plan = plan_data(recipe, config, config.vision_config.image_size)
        sources = _amounts(mixture.parts, sizes)
    micro_batches = recipe.batching.micro_batches
    largest = max((sum(sizes[sample].tokens for sample in batch) for batch in plan.batches), default=recipe.max_length)
    activations = _activation_bytes(config, recipe, largest)
    return RunForecast(
        parts,
        sources,
        invalid,
        len(plan) // micro_batches,
        plan.samples,
        micro_batches,
        _samples_per_step(plan, micro_batches),
        Memory(_state_bytes(parts, recipe), activations),
        Memory(_state_bytes(parts, recipe, sharded=True) // processes, activations),
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
            raise SetupError(f"{recipe.name}: {NO_START}")
    except (OSError, ValueError) as error:
        raise SetupError(f"{recipe.name}: cannot read the configuration of the starting model: {error}") from error
    if not isinstance(config, QuicksviewerConfig):
        raise SetupError(f"{start.checkpoint}: the model type is {config.model_type}, not quicksviewer")
    return config


def _amounts(parts: Sequence[MixturePart], sizes: Sequence[Size]) -> list[MixtureAmount]:
    amounts: dict[tuple[int, str], MixtureAmount] = {}
    next_sizes = iter(sizes)
    for part in parts:
        for hint, size in zip(part.hints, next_sizes, strict=False):
            modality = hint.modality if hint.error or not part.entry.modality else part.entry.modality
            key = part.entry_index, modality
            _, _, samples, tokens, frames = amounts.get(key, MixtureAmount("", "", 0, 0, 0))
            amounts[key] = MixtureAmount(
                part.entry.path, modality, samples + 1, tokens + size.tokens, frames + size.frames
            )
    return list(amounts.values())


def _samples_per_step(plan: MicroBatches, micro_batches: int) -> StepSamples:
    lengths = [len(batch) for batch in plan.batches]
    steps = [sum(lengths[begin : begin + micro_batches]) for begin in range(0, len(lengths), micro_batches)]
    return StepSamples(sum(steps) / len(steps), min(steps), max(steps)) if steps else StepSamples(0, 0, 0)


def _state_bytes(parts: list[ParamGroupSize], recipe: Recipe, *, sharded: bool = False) -> int:
    """Return the bytes of weights and optimizer: 16 for a trained parameter, 2 or 4 for a frozen one.

    Under FSDP frozen parameters stay float32, because each of its units holds a single dtype.
    """
    frozen = 2 if recipe.dtype == "bfloat16" and not sharded else 4
    return sum(16 * part.trainable + frozen * (part.parameters - part.trainable) for part in parts)


def _activation_bytes(config: QuicksviewerConfig, recipe: Recipe, tokens: int) -> int:
    """Return the bytes of a micro-batch's activations: layer inputs, one active layer, a chunk of frames, logits."""
    text, vision = config.text_config, config.vision_config
    width = 2 if recipe.dtype == "bfloat16" else 4
    patches = (vision.image_size // vision.patch_size) ** 2
    layer = width * (8 * text.hidden_size + 3 * text.intermediate_size)
    layers = text.num_hidden_layers
    language = tokens * (layer + width * text.hidden_size * layers if recipe.checkpointing else layer * layers)
    tower = width * (10 * vision.hidden_size + 2 * vision.intermediate_size) * patches * vision.num_hidden_layers
    frames = recipe.chunk_frames if recipe.checkpointing else recipe.max_frames
    encoded = frames * tower if recipe.rates.vision_tower is not None else 0
    kept = recipe.max_frames * config.num_queries * (text.hidden_size + vision.hidden_size) * 4
    if recipe.rates.vision_tower is None:  # the backward pass of the perception layers needs the tower's features
        kept += recipe.max_frames * config.grid_size**2 * vision.hidden_size * width
    logits = min(tokens, 2048) * text.vocab_size * 4 * 2
    return int(language + encoded + kept + logits)


def print_forecast(forecast: RunForecast, console: Console | None = None) -> None:
    """Print the forecast as tables."""
    console = console or Console()
    parts = Table("part", "parameters", "trained", title="Parameters")
    for part in forecast.parts:
        parts.add_row(part.part, _millions(part.parameters), _millions(part.trainable) if part.trainable else "")
    parts.add_section()
    total = sum(part.parameters for part in forecast.parts), sum(part.trainable for part in forecast.parts)
    parts.add_row("all", *map(_millions, total))
    console.print(parts)
    if forecast.sources:
        sources = Table("source", "modality", "samples", "tokens (at most)", "frames (at most)", title="Training data")
        totals: defaultdict[str, int] = defaultdict(int)
        for amount in forecast.sources:
            sources.add_row(escape(amount.source), amount.modality, *(f"{count:,}" for count in amount[2:]))
            totals[amount.modality] += amount.samples
        console.print(sources)
        if forecast.invalid.samples:
            first = escape(forecast.invalid.first)
            console.print(f"{counted(forecast.invalid.samples, 'invalid sample')}, the first: {first}")
        counts = ", ".join(f"{samples:,} {modality}" for modality, samples in sorted(totals.items()))
        console.print(
            f"{counted(forecast.steps, 'step')} of "
            f"{counted(forecast.micro_batches, 'micro-batch', 'micro-batches')} with "
            f"{counted(forecast.samples, 'sample')}, drawn from {counts}"
        )
        mean, minimum, maximum = forecast.samples_per_step
        console.print(
            f"Samples per step: {mean:,.0f} on average, {minimum:,} to {maximum:,}; the reference's: about 48."
        )
    else:
        console.print("No mixture was given, so data and steps cannot be forecast; add mixture=FILE.yaml")
    for state, memory in (
        ("replicated", forecast.replicated),
        (f"sharded over {counted(forecast.processes, 'GPU')} (FSDP)", forecast.sharded),
    ):
        console.print(
            f"Estimated memory per GPU, {state}: {_gib(memory.state)} for weights, gradients and moments, "
            f"{_gib(memory.activations)} for activations"
        )


def _millions(count: int) -> str:
    return f"{count / 1e6:,.2f} M"


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
