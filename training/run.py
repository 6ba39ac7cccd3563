"""One training run, from its recipe to its last checkpoint; given again, it goes on where it was stopped."""

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch.distributed.fsdp import MixedPrecisionPolicy
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from qsv_eval.model_adapters.engine.distributed import join
from qsv_eval.model_adapters.frames import FrameRule
from qsv_eval.model_adapters.quicksviewer import Quicksviewer
from qsv_eval.model_adapters.quicksviewer.modeling import QuicksviewerForConditionalGeneration
from qsv_eval.training.metrics import MetricsFiles
from qsv_eval.training.recipe import Recipe
from qsv_eval.training.run_manifest import check_recipe, write_manifest
from qsv_eval.training.setup import Setup, check_options, check_processes, set_up
from qsv_eval.training.trainer import QuicksviewerTrainer

__all__ = ["Evaluate", "last_checkpoint", "train"]

Evaluate = Callable[[Quicksviewer, int], Mapping[str, float]]
"""Given the model as it is and the step; what it returns is logged. All processes call it."""

FINAL = "final"
_PATIENCE_S = 60_000
"""For a group of processes that is made here; one that was joined has as much."""


def train(
    recipe: Recipe, output: Path, evaluate: Evaluate | None = None, *, cpu: bool = False, report_to: str = "none"
) -> Path:
    """Train, and return the folder of the final checkpoint.

    Args:
        recipe: what to do.
        output: folder of the run. One that holds a run of the same recipe is resumed.
        evaluate: called every `recipe.evaluate_every` steps.
        cpu: leave accelerators alone.
        report_to: `wandb` or another of transformers' trackers, beside the files.

    Raises:
        SetupError: the recipe does not fit the data, the machine or what the folder holds.
    """
    final = output / FINAL
    check_recipe(recipe, output, finished=final.is_dir())
    if final.is_dir():
        return final
    join(on_cpu=cpu)  # before anything is read, and with more patience than PartialState has by itself
    check_options(recipe)
    check_processes(recipe, PartialState(cpu=cpu).num_processes)
    setup = set_up(recipe)
    trainer = make_trainer(recipe, setup, output, cpu=cpu, report_to=report_to)
    write_manifest(recipe, setup, output)
    if evaluate is not None and recipe.evaluate_every is not None:
        trainer.evaluate_by = _evaluation(recipe, setup, evaluate)
        trainer.add_callback(_EvaluateEvery(recipe.evaluate_every))
    checkpoint = last_checkpoint(output)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    _save_whole(trainer, final)
    return final


def _save_whole(trainer: QuicksviewerTrainer, final: Path) -> None:
    """Save under a name of its own first: a folder `final` is a whole one, whenever the run was killed."""
    unfinished = final.with_suffix(".unfinished")
    trainer.save_model(str(unfinished))
    trainer.accelerator.wait_for_everyone()
    if trainer.is_world_process_zero():
        unfinished.rename(final)
    trainer.accelerator.wait_for_everyone()


def make_trainer(
    recipe: Recipe, setup: Setup, output: Path, *, cpu: bool = False, report_to: str = "none"
) -> QuicksviewerTrainer:
    """Return the trainer of a run that was set up."""
    steps = len(setup.plan) // recipe.batching.micro_batches
    arguments = _arguments(recipe, setup.checkpoint.model, output, steps, cpu=cpu, report_to=report_to)
    if arguments.fsdp_plugin_args is not None:
        # By itself accelerate would gather all weights in bfloat16, the gate's and the loss's included: autocast
        # halves what may be halved.
        arguments.fsdp_plugin_args["mixed_precision_policy"] = MixedPrecisionPolicy()
    return QuicksviewerTrainer(
        recipe,
        setup.checkpoint.model,
        arguments,
        setup.samples,
        setup.plan,
        callbacks=[MetricsFiles(output), _IntervalsAsAsked()],
        processing_class=setup.checkpoint.processor,
    )


def _arguments(
    recipe: Recipe,
    model: QuicksviewerForConditionalGeneration,
    output: Path,
    steps: int,
    *,
    cpu: bool,
    report_to: str,
) -> TrainingArguments:
    optimiser, batching = recipe.optimiser, recipe.batching
    processes = PartialState(cpu=cpu).num_processes
    rates = [rate for rate in asdict(recipe.rates).values() if rate is not None]
    arguments = TrainingArguments(
        output_dir=str(output),
        per_device_train_batch_size=1,
        gradient_accumulation_steps=batching.micro_batches // processes,
        max_steps=steps,
        learning_rate=max(rates),
        lr_scheduler_type=optimiser.schedule,
        warmup_steps=optimiser.warmup,
        weight_decay=optimiser.weight_decay,
        adam_beta1=optimiser.betas[0],
        adam_beta2=optimiser.betas[1],
        adam_epsilon=optimiser.epsilon,
        max_grad_norm=optimiser.clip,
        bf16=recipe.dtype == "bfloat16",
        **_sharding(recipe, model),
        logging_steps=recipe.log_every,
        logging_nan_inf_filter=False,
        save_steps=recipe.save_every,
        save_total_limit=recipe.keep,
        seed=batching.seed,
        use_cpu=cpu,
        dataloader_pin_memory=not cpu,
        accelerator_config={"even_batches": False, "dispatch_batches": False, "split_batches": False},
        ddp_find_unused_parameters=False,
        ddp_timeout=_PATIENCE_S,
        remove_unused_columns=False,
        report_to=report_to,
        run_name=recipe.name,
    )
    _take_one_gpu(arguments)
    return arguments


def _take_one_gpu(arguments: TrainingArguments) -> None:
    """Keep the Trainer from spreading each batch over the GPUs that one process sees: ours cannot be cut up so."""
    if arguments.n_gpu <= 1:
        return
    print(
        f"qsv-eval: {arguments.n_gpu} GPUs are visible and one is used; for all of them: "
        f"accelerate launch --num_processes {arguments.n_gpu} -m qsv_eval.cli train …",
        file=sys.stderr,
    )
    arguments._n_gpu = 1  # the way that the Trainer itself goes for models that lie on several


def _sharding(recipe: Recipe, model: QuicksviewerForConditionalGeneration) -> dict[str, Any]:
    """Return the arguments for FSDP2: a unit for each decoder layer, and all else, perception included, in one."""
    if not recipe.sharded:
        return {}
    layer = type(model.model.language_model.layers[0]).__name__
    return {"fsdp": True, "fsdp_config": {"version": 2, "transformer_layer_cls_to_wrap": [layer]}}


def last_checkpoint(output: Path) -> Path | None:
    """Return the newest checkpoint that was written to its end; what was torn is passed over."""
    found = [(int(match[1]), path) for path in output.glob("checkpoint-*") if (match := _NUMBER.fullmatch(path.name))]
    for _, path in sorted(found, reverse=True):
        if _is_whole(path):
            return path
    return None


_NUMBER = re.compile(r"checkpoint-(\d+)")


def _is_whole(checkpoint: Path) -> bool:
    weights = any(checkpoint.glob("*.safetensors")) or any(checkpoint.glob("pytorch_model_fsdp*"))
    if not weights or not any(checkpoint.glob("optimizer*")) or not any(checkpoint.glob("rng_state*")):
        return False
    try:  # the last file of a checkpoint
        json.loads((checkpoint / "trainer_state.json").read_text())
    except (OSError, json.JSONDecodeError):
        return False
    return True


class _IntervalsAsAsked(TrainerCallback):
    """Logs and saves as often as the recipe says now; by itself a run that is resumed goes by its checkpoint's word."""

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Take what the state holds from the arguments again."""
        state.compute_steps(args, state.max_steps)


class _EvaluateEvery(TrainerCallback):
    """Asks for an evaluation every so many steps, and at the end."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Ask where it is time."""
        control.should_evaluate = state.global_step % self.steps == 0 or state.global_step == state.max_steps


def _evaluation(recipe: Recipe, setup: Setup, evaluate: Evaluate) -> Callable[[int], Mapping[str, float]]:
    """Return `evaluate` with the model put into the state for answering, and back; nothing random is used up."""
    rule = FrameRule(fps=recipe.fps, max_frames=recipe.max_frames)
    half = recipe.dtype == "bfloat16"

    def at(step: int) -> Mapping[str, float]:
        model = setup.checkpoint.model
        learning = model.training
        model.eval()
        with torch.random.fork_rng(), torch.autocast(model.device.type, torch.bfloat16, enabled=half):
            found = evaluate(Quicksviewer(setup.checkpoint, rule), step)
        model.train(learning)
        return found

    return at
