"""From a recipe to everything that a run needs: model, samples and plan; nothing is trained yet."""

from typing import NamedTuple

import torch
from torch import nn
from transformers import PreTrainedConfig

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.quicksviewer.checkpoint import LoadedCheckpoint, load_checkpoint
from qsv_eval.model_adapters.quicksviewer.modeling import QuicksviewerForConditionalGeneration
from qsv_eval.model_adapters.quicksviewer.packed_attention import SEGMENTED
from qsv_eval.model_adapters.quicksviewer.prompt_tokens import VISION_TOKENS
from qsv_eval.training.batch_plan import DataPlan, plan_data
from qsv_eval.training.data.batches import MicroBatches
from qsv_eval.training.data.samples import TrainingSamples
from qsv_eval.training.init_model import assemble
from qsv_eval.training.model import QuicksviewerForTraining
from qsv_eval.training.optimizer import check_muon
from qsv_eval.training.param_groups import group_of, set_trainable
from qsv_eval.training.recipe import Recipe

__all__ = ["Setup", "change_config", "check_options", "check_processes", "set_up"]

# MERGED DOCSTRINGS, to be worked into the one above:
# What is wrong with a recipe whatever model and data it names: told before either is read.


class Setup(NamedTuple):
    """A run before its first step."""

    checkpoint: LoadedCheckpoint
    samples: TrainingSamples
    plan: MicroBatches


def set_up(recipe: Recipe) -> Setup:
    """Load the model, open the data and work out every micro-batch.

    Raises:
        SetupError: something is missing or does not fit, naming it.
    """
    if not recipe.mixture:
        raise SetupError(f"{recipe.name}: there is nothing to learn from; give mixture=FILE.yaml")
    checkpoint = _load(recipe)
    model, processor = checkpoint
    new_ids = [id_ for id_ in processor.tokenizer.convert_tokens_to_ids(list(VISION_TOKENS)) if id_ is not None]
    set_trainable(model, recipe.rates, new_ids)
    _cast(model, recipe)
    _checkpoint_activations(model, recipe)
    planned = plan_data(recipe, model.config, processor.video_processor.frame_size)
    _check_samples(recipe, planned)
    seed, hidden = recipe.batching.seed, recipe.thumbnails_only
    samples = TrainingSamples(planned.mixture, processor, planned.sizing, recipe.max_length, seed, hidden)
    return Setup(checkpoint, samples, planned.batches)


def _load(recipe: Recipe) -> LoadedCheckpoint:
    start = recipe.start
    if start.checkpoint is not None:
        attention = _attention(recipe)
        loaded = load_checkpoint(
            start.checkpoint, model_class=QuicksviewerForTraining, dtype="float32", attn_implementation=attention
        )
        change_config(loaded.model.config, recipe)
        return loaded
    if start.language_model is None or start.vision_tower is None:
        raise SetupError(f"{recipe.name}: give start.checkpoint=FOLDER, the end of the stage before")
    checkpoint = assemble(start.language_model, start.vision_tower, recipe.model, torch.float32, recipe.batching.seed)
    attention = _attention(recipe)
    if attention is not None:
        checkpoint.model.set_attn_implementation(attention)
    return checkpoint


def _attention(recipe: Recipe) -> str | None:
    return SEGMENTED if recipe.attention is None and recipe.batching.packed else recipe.attention


def _check_samples(recipe: Recipe, planned: DataPlan) -> None:
    """Refuse to begin what would end as soon as the samples are read."""
    number, first = planned.broken
    if number > recipe.may_be_broken(len(planned.mixture)):
        raise SetupError(
            f"mixture: {number:,} of {len(planned.mixture):,} samples are none, more than broken_share "
            f"{recipe.broken_share:.1%}; put them right, the first: {first}"
        )


_CHANGEABLE = ("cubing", "frames_per_cube", "max_cubes", "gate_centred", "gate_loss_weight", "gate_temperature")
"""What the model looks up as it goes; the rest of its configuration has made it what it is."""


def change_config(config: PreTrainedConfig, recipe: Recipe) -> None:
    """Change a checkpoint's configuration as `recipe.model` says.

    Raises:
        SetupError: what cannot be changed any more.
    """
    for key, value in recipe.model.items():
        if key not in _CHANGEABLE:
            known = ", ".join(_CHANGEABLE)
            raise SetupError(f"model.{key}: cannot be changed in a checkpoint; what can is {known}")
        setattr(config, key, value)


def _cast(model: QuicksviewerForConditionalGeneration, recipe: Recipe) -> None:
    """Keep what is only read in bfloat16 where that loses nothing, as it does of a released checkpoint.

    What learns stays float32, where small steps do not vanish; what is saved of the rest is what was loaded. A part is
    of one type: a layer norm's kernel does not take weights of another than what comes from the layer before.
    """
    if recipe.dtype == "float32" or recipe.sharded:  # FSDP's units hold one type each
        return
    parts = dict[str | None, list[nn.Parameter]]()
    for name, parameter in model.named_parameters():
        parts.setdefault(group_of(name), []).append(parameter)
    for own in parts.values():
        if not any(parameter.requires_grad for parameter in own) and all(map(_is_half, own)):
            for parameter in own:
                parameter.data = parameter.data.to(torch.bfloat16)


def _is_half(parameter: nn.Parameter) -> bool:
    """Tell whether bfloat16 can hold it."""
    return torch.equal(parameter.data.to(torch.bfloat16).float(), parameter.data)


def _checkpoint_activations(model: QuicksviewerForConditionalGeneration, recipe: Recipe) -> None:
    perception = model.model.perception
    perception.chunk_frames = recipe.chunk_frames
    if recipe.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        # A chunk is computed again as a whole; its layers, again by themselves, would be a third time.
        for module in perception.vision_tower.modules():
            if hasattr(module, "gradient_checkpointing"):
                module.gradient_checkpointing = False


def check_options(recipe: Recipe) -> None:
    """Refuse options that do not go together.

    Raises:
        SetupError: they do not, or this torch is too old for one.
    """
    if recipe.optimiser.kind == "muon":
        check_muon()
    if not recipe.sharded:
        return
    if recipe.rates.new_tokens is not None and recipe.rates.language_model is None:
        raise SetupError("sharded: an embedding of which only rows learn cannot be; set rates.language_model as well")
    if recipe.evaluate_every is not None:
        raise SetupError("sharded: no process has the whole model to try out; leave evaluate_every out")
    if recipe.optimiser.kind == "muon":
        raise SetupError("sharded: Muon needs whole matrices; use optimiser.kind=adamw")


def check_processes(recipe: Recipe, processes: int) -> None:
    """Refuse a number of processes that the recipe cannot be done by.

    Raises:
        SetupError: they cannot share its steps, or it needs several.
    """
    if recipe.batching.micro_batches % processes:
        raise SetupError(
            f"batching.micro_batches {recipe.batching.micro_batches} cannot be shared by {processes} processes evenly; "
            "give a multiple of them"
        )
    if recipe.sharded and processes == 1:
        raise SetupError("sharded: there is one process, so nothing to spread over; start several, or leave it out")
