"""One training run, from its recipe to the final checkpoint; the same command resumes a stopped run."""

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
"""Function from the current model and step to metrics, which are logged; called by all processes."""

FINAL = "final"
_PROCESS_TIMEOUT_S = 60_000
"""Timeout of operations between processes, the same as in `distributed.join`."""


def train(
    recipe: Recipe, output: Path, evaluate: Evaluate | None = None, *, cpu: bool = False, report_to: str = "none"
) -> Path:
    """Train, and return the folder of the final checkpoint.

    Args:
        recipe: settings of the run.
        output: run folder; a run of the same recipe in it is resumed.
        evaluate: called every `recipe.evaluate_every` steps.
        cpu: train on the CPU even if there is an accelerator.
        report_to: `wandb` or another of transformers' trackers, in addition to the metrics files.

    Raises:
        SetupError: the recipe does not fit the data, the machine or the run in the folder.
    """
    final = output / FINAL
    check_recipe(recipe, output, finished=final.is_dir())
    if final.is_dir():
        return final
    join(on_cpu=cpu)  # before any reading, and with a longer timeout than PartialState's default
    check_options(recipe)
    check_processes(recipe, PartialState(cpu=cpu).num_processes)
    setup = set_up(recipe)
    trainer = make_trainer(recipe, setup, output, cpu=cpu, report_to=report_to)
    write_manifest(recipe, setup, output)
    if evaluate is not None and recipe.evaluate_every is not None:
        trainer.evaluation = _evaluation(recipe, setup, evaluate)
        trainer.add_callback(_EvaluateEvery(recipe.evaluate_every))
    checkpoint = last_checkpoint(output)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    _save_final(trainer, final)
    return final


def _save_final(trainer: QuicksviewerTrainer, final: Path) -> None:
    """Save to `final.unfinished` and rename it, so that a folder `final` is always complete."""
    unfinished = final.with_suffix(".unfinished")
    trainer.save_model(str(unfinished))
    trainer.accelerator.wait_for_everyone()
    if trainer.is_world_process_zero():
        unfinished.rename(final)
    trainer.accelerator.wait_for_everyone()


def make_trainer(
    recipe: Recipe, setup: Setup, output: Path, *, cpu: bool = False, report_to: str = "none"
) -> QuicksviewerTrainer:
    """Return the trainer of a run."""
    steps = len(setup.plan) // recipe.batching.micro_batches
    arguments = _arguments(recipe, setup.checkpoint.model, output, steps, cpu=cpu, report_to=report_to)
    if arguments.fsdp_plugin_args is not None:
        # Replaces accelerate's default, which gathers all weights in bfloat16, those of gate and loss included.
        arguments.fsdp_plugin_args["mixed_precision_policy"] = MixedPrecisionPolicy()
    return QuicksviewerTrainer(
        recipe,
        setup.checkpoint.model,
        arguments,
        setup.samples,
        setup.plan,
        callbacks=[MetricsFiles(output), _RecipeIntervals()],
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
        ddp_timeout=_PROCESS_TIMEOUT_S,
        remove_unused_columns=False,
        report_to=report_to,
        run_name=recipe.name,
    )
    _use_one_gpu(arguments)
    return arguments


def _use_one_gpu(arguments: TrainingArguments) -> None:
    """Disable the Trainer's DataParallel over all GPUs of a process: our micro-batches cannot be split."""
    if arguments.n_gpu <= 1:
        return
    print(
        f"qsv-eval: {arguments.n_gpu} GPUs are visible, but this process uses one; to use all: "
        f"accelerate launch --num_processes {arguments.n_gpu} -m qsv_eval.cli train …",
        file=sys.stderr,
    )
    arguments._n_gpu = 1  # as the Trainer itself does for a model on several devices


def _sharding(recipe: Recipe, model: QuicksviewerForConditionalGeneration) -> dict[str, Any]:
    """Return the arguments for FSDP2: one unit per decoder layer, and one for the rest of the model."""
    if not recipe.sharded:
        return {}
    layer = type(model.model.language_model.layers[0]).__name__
    return {"fsdp": True, "fsdp_config": {"version": 2, "transformer_layer_cls_to_wrap": [layer]}}


def last_checkpoint(output: Path) -> Path | None:
    """Return the newest complete checkpoint."""
    names = ((re.fullmatch(r"checkpoint-(\d+)", path.name), path) for path in output.glob("checkpoint-*"))
    checkpoints = sorted(((int(match[1]), path) for match, path in names if match), reverse=True)
    return next((path for _, path in checkpoints if _is_complete(path)), None)


def _is_complete(checkpoint: Path) -> bool:
    weights = any(checkpoint.glob("*.safetensors")) or any(checkpoint.glob("pytorch_model_fsdp*"))
    if not weights or not any(checkpoint.glob("optimizer*")) or not any(checkpoint.glob("rng_state*")):
        return False
    try:  # the file that is written last
        json.loads((checkpoint / "trainer_state.json").read_text())
    except (OSError, json.JSONDecodeError):
        return False
    return True


class _RecipeIntervals(TrainerCallback):
    """Trainer callback that, in a resumed run, takes the log and save intervals from the recipe."""

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Replace the intervals that were stored in the checkpoint."""
        state.compute_steps(args, state.max_steps)


class _EvaluateEvery(TrainerCallback):
    """Trainer callback that requests an evaluation every `steps` steps and at the end."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Request an evaluation if it is due."""
        control.should_evaluate = state.global_step % self.steps == 0 or state.global_step == state.max_steps


def _evaluation(recipe: Recipe, setup: Setup, evaluate: Evaluate) -> Callable[[int], Mapping[str, float]]:
    """Return `evaluate` as a function of the step, run in evaluation mode and without consuming random numbers."""
    rule = FrameRule(fps=recipe.fps, max_frames=recipe.max_frames)
    is_half = recipe.dtype == "bfloat16"

    def evaluate_at(step: int) -> Mapping[str, float]:
        model = setup.checkpoint.model
        was_training = model.training
        model.eval()
        with torch.random.fork_rng(), torch.autocast(model.device.type, torch.bfloat16, enabled=is_half):
            metrics = evaluate(Quicksviewer(setup.checkpoint, rule), step)
        model.train(was_training)
        return metrics

    return evaluate_at
