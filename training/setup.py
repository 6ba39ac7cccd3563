"""Set-up of a training run: options are checked, the model is loaded and the data are planned."""

from typing import NamedTuple

import torch
from torch import nn
from transformers import PreTrainedConfig

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.plurals import counted
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

NO_START = "no starting checkpoint; give start.checkpoint=FOLDER, the result of the previous stage"


class Setup(NamedTuple):
    """Model, dataset and micro-batches of a run."""

    checkpoint: LoadedCheckpoint
    samples: TrainingSamples
    plan: MicroBatches


def set_up(recipe: Recipe) -> Setup:
    """Load the model, open the data and plan every micro-batch.

    Raises:
        SetupError: a setting is missing or invalid.
    """
    if not recipe.mixture:
        raise SetupError(f"{recipe.name}: no training data; give mixture=FILE.yaml")
    checkpoint = _load(recipe)
    model, processor = checkpoint
    new_ids = [id_ for id_ in processor.tokenizer.convert_tokens_to_ids(list(VISION_TOKENS)) if id_ is not None]
    set_trainable(model, recipe.rates, new_ids)
    _cast(model, recipe)
    _checkpoint_activations(model, recipe)
    data = plan_data(recipe, model.config, processor.video_processor.frame_size)
    _check_samples(recipe, data)
    seed, thumbnails_only = recipe.batching.seed, recipe.thumbnails_only
    samples = TrainingSamples(data.mixture, processor, data.sizing, recipe.max_length, seed, thumbnails_only)
    return Setup(checkpoint, samples, data.batches)


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
        raise SetupError(f"{recipe.name}: {NO_START}")
    checkpoint = assemble(start.language_model, start.vision_tower, recipe.model, torch.float32, recipe.batching.seed)
    attention = _attention(recipe)
    if attention is not None:
        checkpoint.model.set_attn_implementation(attention)
    return checkpoint


def _attention(recipe: Recipe) -> str | None:
    return SEGMENTED if recipe.attention is None and recipe.batching.packed else recipe.attention


def _check_samples(recipe: Recipe, data: DataPlan) -> None:
    """Refuse data with so many invalid samples that the run would stop."""
    invalid, first = data.invalid
    if invalid > recipe.max_broken(len(data.mixture)):
        raise SetupError(
            f"mixture: {invalid:,} of {counted(len(data.mixture), 'sample')} are invalid, more than broken_share "
            f"{recipe.broken_share:.1%}; correct them or raise broken_share; the first: {first}"
        )


_CHANGEABLE = ("cubing", "frames_per_cube", "max_cubes", "gate_centred", "gate_loss_weight", "gate_temperature")
"""Settings that do not determine the shape of the weights."""


def change_config(config: PreTrainedConfig, recipe: Recipe) -> None:
    """Apply `recipe.model` to a checkpoint's configuration.

    Raises:
        SetupError: a setting cannot be changed in a checkpoint.
    """
    for key, value in recipe.model.items():
        if key not in _CHANGEABLE:
            raise SetupError(f"model.{key}: cannot be changed in a checkpoint, only {', '.join(_CHANGEABLE)}")
        setattr(config, key, value)


def _cast(model: QuicksviewerForConditionalGeneration, recipe: Recipe) -> None:
    """Convert frozen parts to bfloat16 if that is lossless, as in a released checkpoint.

    Trained parts stay float32, in which small updates do not vanish. A part has a single dtype, because the kernel of
    a layer norm needs weights of its input's dtype.
    """
    if recipe.dtype == "float32" or recipe.sharded:  # a unit of FSDP holds a single dtype
        return
    parts = dict[str | None, list[nn.Parameter]]()
    for name, parameter in model.named_parameters():
        parts.setdefault(group_of(name), []).append(parameter)
    for parameters in parts.values():
        if not any(parameter.requires_grad for parameter in parameters) and all(map(_fits_bfloat16, parameters)):
            for parameter in parameters:
                parameter.data = parameter.data.to(torch.bfloat16)


def _fits_bfloat16(parameter: nn.Parameter) -> bool:
    return torch.equal(parameter.data.to(torch.bfloat16).float(), parameter.data)


def _checkpoint_activations(model: QuicksviewerForConditionalGeneration, recipe: Recipe) -> None:
    perception = model.model.perception
    perception.chunk_frames = recipe.chunk_frames
    if recipe.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        # A chunk of frames is recomputed as a whole; checkpointed layers would compute it a third time.
        for module in perception.vision_tower.modules():
            if hasattr(module, "gradient_checkpointing"):
                module.gradient_checkpointing = False


def check_options(recipe: Recipe) -> None:
    """Refuse options that exclude each other or need a newer torch, before model and data are read."""
    if recipe.optimiser.kind == "muon":
        check_muon()
    if not recipe.sharded:
        return
    if recipe.rates.new_tokens is not None and recipe.rates.language_model is None:
        raise SetupError("sharded: new_tokens alone cannot be trained in a sharded model; set rates.language_model too")
    if recipe.evaluate_every is not None:
        raise SetupError("sharded: a sharded model cannot be evaluated; leave out evaluate_every")
    if recipe.optimiser.kind == "muon":
        raise SetupError("sharded: Muon needs whole matrices; use optimiser.kind=adamw")


def check_processes(recipe: Recipe, processes: int) -> None:
    """Refuse a number of processes that does not divide the micro-batches, or a single one for sharding."""
    if recipe.batching.micro_batches % processes:
        raise SetupError(
            f"batching.micro_batches: {recipe.batching.micro_batches} is not a multiple of {processes} processes; "
            "change it, or the number of processes"
        )
    if recipe.sharded and processes == 1:
        raise SetupError("sharded: sharding needs several processes, but there is 1; start more, or leave it out")
