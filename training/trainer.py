"""Training loop: transformers' Trainer, extended for Quicksviewer.

- The loss is the exact mean over a step's tokens and the gate's norm that over its gaps, however they are distributed
  over micro-batches and processes.
- Each part of the model has its own learning rate.
- The weight of the gate's noise depends on the step alone, so it is right after resuming.
- Skipped samples are counted and limited.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments

from qsv_eval.model_adapters.errors import QsvError
from qsv_eval.model_adapters.quicksviewer.merge_inputs import IGNORED
from qsv_eval.model_adapters.quicksviewer.modeling import QuicksviewerForConditionalGeneration
from qsv_eval.model_adapters.quicksviewer.perception import GumbelNoise
from qsv_eval.training.data.batches import MicroBatches
from qsv_eval.training.data.samples import Batch, TrainingSamples, collate_arrays, to_tensors
from qsv_eval.training.model import LossContext
from qsv_eval.training.optimizer import MuonWithAdamW, is_hidden_matrix
from qsv_eval.training.param_groups import group_of
from qsv_eval.training.recipe import PARTS, Recipe
from qsv_eval.training.skipped_samples import SkippedFile, rewind

__all__ = ["QuicksviewerTrainer", "TooManySkippedSamples", "TrainingError"]


class TrainingError(QsvError):
    """An error during training that the user must correct."""


class TooManySkippedSamples(TrainingError):
    """More samples were unusable than the recipe allows."""


class _StepSums(NamedTuple):
    """Numbers of tokens with labels and of gaps between frames in a step, over all micro-batches and processes."""

    tokens: Tensor
    gaps: Tensor


class _Counts:
    """Counts since the last log line."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.waited_s = 0.0
        self.steps = self.tokens = self.frames = self.samples = 0


class QuicksviewerTrainer(Trainer):
    """Trainer of a recipe."""

    loss_is_scaled_for_ga = True  # `_StepSums` cover all micro-batches
    _drawn_total: int | None
    """Number of samples drawn in the run so far, skipped ones included; None before the first step of this process."""

    def __init__(
        self,
        recipe: Recipe,
        model: QuicksviewerForConditionalGeneration,
        args: TrainingArguments,
        samples: TrainingSamples,
        plan: MicroBatches,
        **options: Any,
    ) -> None:
        self.recipe, self.samples, self.plan, self.learner = recipe, samples, plan, model
        self.folder = Path(str(args.output_dir))
        self._sums = _StepSums(torch.tensor(1), torch.tensor(1))
        self._counts = _Counts()
        self._skipped_file = SkippedFile(self.folder, args.process_index)
        self._skipped_total, self._drawn_total = 0, None
        self._gate_loss = 0.0
        self.evaluation: Callable[[int], Mapping[str, float]] | None = None
        super().__init__(model, args, train_dataset=samples, **options)
        self._trains_perception = any(
            parameter.requires_grad for name, parameter in model.named_parameters() if ".perception." in name
        )

    # ---- data

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the loader of this process's micro-batches, as arrays."""
        pad_id = self.samples.processor.tokenizer.pad_token_id or 0
        workers = self.recipe.batching.workers
        loader = DataLoader(
            self.samples,
            batch_sampler=self.plan,
            collate_fn=partial(collate_arrays, pad_id=pad_id),
            num_workers=workers,
            persistent_workers=workers > 0,
            prefetch_factor=4 if workers else None,
            pin_memory=self.args.dataloader_pin_memory,
        )
        # Each micro-batch is moved to the device when it is used: all of a step would be gigabytes of frames.
        prepared: DataLoader[Any] = self.accelerator.prepare_data_loader(loader, device_placement=False)
        return prepared

    def get_batch_samples(
        self, epoch_iterator: Iterator[Batch], num_batches: int, device: torch.device
    ) -> tuple[list[Batch], None]:
        """Fetch this process's micro-batches of a step, and sum the counts of all processes."""
        if self._drawn_total is None:
            self._counts = _Counts()  # leave the set-up out of the first step's time
        started = time.perf_counter()
        batches = [to_tensors(batch) for _, batch in zip(range(num_batches), epoch_iterator, strict=False)]
        self._counts.waited_s += time.perf_counter() - started
        tokens = sum(int((batch["labels"][:, 1:] != IGNORED).sum()) for batch in batches)
        gaps = sum(int((batch["frame_counts"] - 1).sum()) for batch in batches if "frame_counts" in batch)
        reasons = [reason for batch in batches for reason in batch.pop("skipped")]
        drawn = sum(batch.pop("samples") for batch in batches) + len(reasons)
        counts = torch.tensor([[tokens, gaps, len(reasons), drawn]], device=device)
        tokens, gaps, skipped, drawn = self.accelerator.gather(counts).sum(0).tolist()
        self._sums = _StepSums(torch.tensor(max(tokens, 1), device=device), torch.tensor(max(gaps, 1), device=device))
        self._count(batches, drawn - skipped)
        self._record_skipped(reasons, skipped, drawn)
        return batches, None

    def _count(self, batches: list[Batch], samples: int) -> None:
        counts = self._counts
        counts.steps += 1
        counts.tokens += int(self._sums.tokens)
        counts.samples += samples
        counts.frames += sum(
            len(batch.get(key, ())) for batch in batches for key in ("pixel_values", "pixel_values_videos")
        )

    def _record_skipped(self, reasons: list[str], skipped: int, drawn: int) -> None:
        """Log the skipped samples, and stop the run if there are too many."""
        if self._drawn_total is None:
            self._skipped_total, self._drawn_total = self._totals_before()
        self._skipped_file.add(self.state.global_step, reasons)
        self._skipped_total, self._drawn_total = self._skipped_total + skipped, self._drawn_total + drawn
        if self._skipped_total > self.recipe.max_broken(self._drawn_total):
            last = reasons[-1] if reasons else "see the other processes' files"
            raise TooManySkippedSamples(
                f"{self._skipped_total:,} of {self._drawn_total:,} samples were unusable, more than broken_share "
                f"{self.recipe.broken_share:.1%}; they are listed in {self.args.output_dir}/skipped-*.jsonl, the last: "
                f"{last}. Correct them or raise broken_share=…, then resume with the same command"
            )

    def _totals_before(self) -> tuple[int, int]:
        """Return the numbers of skipped and drawn samples before this step, in a resumed run."""
        step = self.state.global_step
        skipped = torch.zeros(1, dtype=torch.long, device=self.accelerator.device)
        if self.accelerator.is_main_process:
            skipped += rewind(self.folder, step)
        self.accelerator.wait_for_everyone()
        batches = self.plan.batches[: step * self.recipe.batching.micro_batches]
        return int(self.accelerator.gather(skipped).sum()), sum(map(len, batches))

    # ---- the step

    def compute_loss(
        self, model: nn.Module, inputs: Batch, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the micro-batch's part of the step's loss, times the number of processes (gradients are averaged)."""
        noise = GumbelNoise(self.noise_scale, inputs.pop("uniform_G2", None))
        # Perception gets a gradient in every batch: other processes may have a video where this one has none, and
        # if only perception is trained, a batch of texts would have no gradient at all.
        context = LossContext(
            *self._sums, packed=self.recipe.batching.packed, use_all_perception=self._trains_perception
        )
        with self.accelerator.autocast():  # the Trainer leaves it out for sharded models
            outputs = model(**inputs, noise=noise, context=context)
        if outputs.gate_loss is not None:
            self._gate_loss += outputs.gate_loss.detach().item()
        loss = outputs.loss * self.accelerator.num_processes
        if not torch.isfinite(loss):
            raise TrainingError(
                f"step {self.state.global_step}: the loss is {loss.item()}. To continue with lower learning rates, "
                f"start a new run from the last checkpoint in {self.args.output_dir} (start.checkpoint=…/checkpoint-N "
                "rates.…=… --output NEW); it begins its data, its schedule and the gate's noise anew"
            )
        return (loss, outputs) if return_outputs else loss

    @property
    def noise_scale(self) -> float:
        """Weight of the gate's noise at this step."""
        return self.recipe.noise.at(self.state.global_step, self.state.max_steps)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Create the optimizer, with groups by part, kind (Muon or AdamW) and weight decay."""
        if self.optimizer is None:
            muon = self.recipe.optimiser.kind == "muon"
            decaying = set(self.get_decay_parameter_names(self.learner))
            members: dict[tuple[str, bool, bool], list[nn.Parameter]] = {}
            for name, parameter in self.learner.named_parameters():
                if parameter.requires_grad:
                    matrix = muon and is_hidden_matrix(name, parameter)
                    members.setdefault((str(group_of(name)), matrix, name in decaying), []).append(parameter)
            groups = [
                {
                    "params": parameters,
                    "lr": getattr(self.recipe.rates, part),
                    "weight_decay": self.args.weight_decay if decays else 0.0,
                    "part": part,
                    "matrices": matrices,
                }
                for (part, matrices, decays), parameters in members.items()
            ]
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.learner)
            options.pop("lr", None)
            self.optimizer = (
                MuonWithAdamW(groups, options["betas"], options["eps"]) if muon else kind(groups, **options)
            )
        return self.optimizer

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Load a checkpoint's weights, whose names are those of released checkpoints, which the Trainer cannot load."""
        if self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        loaded = type(self.learner).from_pretrained(resume_from_checkpoint, dtype=torch.float32)
        self.learner.load_state_dict(loaded.state_dict())

    def _evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Log the metrics of `self.evaluation` in place of the Trainer's evaluation."""
        assert self.evaluation is not None
        metrics = {f"eval_{name}": float(value) for name, value in self.evaluation(self.state.global_step).items()}
        self.log(metrics)
        self.control.should_evaluate = False
        return metrics

    def _maybe_log_save_evaluate(self, *args: Any, **options: Any) -> None:
        """Exclude the time of evaluating and saving from the logged time of steps."""
        counts, started = self._counts, time.perf_counter()
        super()._maybe_log_save_evaluate(*args, **options)
        now = time.perf_counter()
        self._counts.started = counts.started + now - started if self._counts is counts else now

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log with Quicksviewer's metrics added to those of training steps."""
        if "loss" in logs:
            counts, self._counts = self._counts, _Counts()
            elapsed_s = max(time.perf_counter() - counts.started, 1e-9)
            logs |= {
                "noise": self.noise_scale,
                "gate_norm": self._gate_norm() / max(counts.steps, 1),
                "seconds": elapsed_s,
                "tokens_per_s": counts.tokens / elapsed_s,
                "frames_per_s": counts.frames * self.accelerator.num_processes / elapsed_s,
                "data_wait": counts.waited_s / elapsed_s,
                "samples": counts.samples,
                "skipped": self._skipped_total,
            }
            assert self.optimizer is not None
            rates = {str(group.get("part")): group["lr"] for group in self.optimizer.param_groups}
            logs |= {f"rate_{part}": rates[part] for part in PARTS if part in rates}
        super().log({key: value for key, value in logs.items() if not _is_nan(value)}, start_time)

    def _gate_norm(self) -> float:
        """Return the gate loss of all processes since the last call."""
        gate_loss, self._gate_loss = self._gate_loss, 0.0
        return float(self.accelerator.reduce(torch.tensor(gate_loss, device=self.accelerator.device)))


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
