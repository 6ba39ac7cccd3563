"""The loop: transformers' Trainer, and what Quicksviewer needs beyond it.

- A loss that is exactly the mean over the step's tokens, whatever micro-batches and processes they are spread over, and
  the gate's norm likewise over the step's gaps (the reference weighs it by the processes that see a video).
- Learning rates that act, one for each part.
- The weight of the gate's noise by the step, so that it is right after resuming.
- Samples that were left out, counted, with a limit.
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
from qsv_eval.training.data.samples import Batch, TrainingSamples, collate_arrays, with_tensors
from qsv_eval.training.model import LossContext
from qsv_eval.training.optimizer import MuonWithAdamW, is_hidden_matrix
from qsv_eval.training.param_groups import group_of
from qsv_eval.training.recipe import PARTS, Recipe
from qsv_eval.training.skipped_samples import SkippedFile, rewind

__all__ = ["QuicksviewerTrainer", "Stopped", "TooManyBroken"]


class Stopped(QsvError):
    """A run ended in its middle, for a reason that only its user can put right."""


class TooManyBroken(Stopped):
    """More samples could not be read than the recipe allows."""


class _StepSums(NamedTuple):
    """Over all micro-batches of a step, on all processes."""

    tokens: Tensor
    gaps: Tensor


class _Counts:
    """What was seen since the last log line."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.waited_s = 0.0
        self.steps = self.tokens = self.frames = self.samples = 0


class QuicksviewerTrainer(Trainer):
    """Trains by a recipe."""

    loss_is_scaled_for_ga = True  # `_StepSums` run over all micro-batches
    _met: int | None
    """Samples of the run so far, those that were left out included; None before the first step of this process."""

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
        self._skipped = SkippedFile(self.folder, args.process_index)
        self._broken, self._met = 0, None
        self._gate_loss = 0.0
        self.evaluate_by: Callable[[int], Mapping[str, float]] | None = None
        super().__init__(model, args, train_dataset=samples, **options)
        self._perceives = any(
            parameter.requires_grad for name, parameter in model.named_parameters() if ".perception." in name
        )

    # ---- data

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return this process's micro-batches, as arrays."""
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
        # A micro-batch is moved when its turn comes: all those of a step at once would be gigabytes of frames.
        prepared: DataLoader[Any] = self.accelerator.prepare_data_loader(loader, device_placement=False)
        return prepared

    def get_batch_samples(
        self, epoch_iterator: Iterator[Batch], num_batches: int, device: torch.device
    ) -> tuple[list[Batch], None]:
        """Fetch a step's micro-batches, and count what all processes have in it."""
        if self._met is None:
            self._counts = _Counts()  # the set-up is no step's time
        started = time.perf_counter()
        batches = [with_tensors(batch) for _, batch in zip(range(num_batches), epoch_iterator, strict=False)]
        self._counts.waited_s += time.perf_counter() - started
        tokens = sum(int((batch["labels"][:, 1:] != IGNORED).sum()) for batch in batches)
        gaps = sum(int((batch["frame_counts"] - 1).sum()) for batch in batches if "frame_counts" in batch)
        skipped = [reason for batch in batches for reason in batch.pop("skipped")]
        met = sum(batch.pop("samples") for batch in batches) + len(skipped)
        own = torch.tensor([[tokens, gaps, len(skipped), met]], device=device)
        tokens, gaps, broken, met = self.accelerator.gather(own).sum(0).tolist()
        self._sums = _StepSums(torch.tensor(max(tokens, 1), device=device), torch.tensor(max(gaps, 1), device=device))
        self._count(batches, met - broken)
        self._note_broken(skipped, broken, met)
        return batches, None

    def _count(self, batches: list[Batch], samples: int) -> None:
        counts = self._counts
        counts.steps += 1
        counts.tokens += int(self._sums.tokens)
        counts.samples += samples
        counts.frames += sum(
            len(batch.get(key, ())) for batch in batches for key in ("pixel_values", "pixel_values_videos")
        )

    def _note_broken(self, reasons: list[str], broken: int, met: int) -> None:
        """Write down what was left out, and stop when it is too much."""
        if self._met is None:
            self._broken, self._met = self._before()
        self._skipped.add(self.state.global_step, reasons)
        self._broken, self._met = self._broken + broken, self._met + met
        if self._broken > self.recipe.may_be_broken(self._met):
            last = reasons[-1] if reasons else "see the other processes' files"
            raise TooManyBroken(
                f"{self._broken} of {self._met} samples could not be used, more than broken_share "
                f"{self.recipe.broken_share:.1%}; {self.args.output_dir}/skipped-*.jsonl lists them, the last: {last}. "
                "Put them right or allow more of them (broken_share=…), and the same command goes on"
            )

    def _before(self) -> tuple[int, int]:
        """Return how many samples were left out, and how many met, before this step: of a run that goes on."""
        step = self.state.global_step
        left_out = torch.zeros(1, dtype=torch.long, device=self.accelerator.device)
        if self.accelerator.is_main_process:
            left_out += rewind(self.folder, step)
        self.accelerator.wait_for_everyone()
        batches = self.plan.batches[: step * self.recipe.batching.micro_batches]
        return int(self.accelerator.gather(left_out).sum()), sum(map(len, batches))

    # ---- the step

    def compute_loss(
        self, model: nn.Module, inputs: Batch, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return this micro-batch's part of the step's loss, times the processes, since gradients are averaged."""
        noise = GumbelNoise(self.noise_scale, inputs.pop("uniform_G2", None))
        # Where perception learns it always takes part: other processes may see a video where this one does not, and
        # where nothing else learns a batch of texts would have nothing to go backwards through.
        context = LossContext(self._sums.tokens, self._sums.gaps, self.recipe.batching.packed, in_step=self._perceives)
        with self.accelerator.autocast():  # which the Trainer leaves out where the model is sharded
            outputs = model(**inputs, noise=noise, context=context)
        if outputs.gate_loss is not None:
            self._gate_loss += outputs.gate_loss.detach().item()
        loss = outputs.loss * self.accelerator.num_processes
        if not torch.isfinite(loss):
            raise Stopped(
                f"step {self.state.global_step}: the loss is {loss.item()}. The last checkpoint in "
                f"{self.args.output_dir} is whole; a run with lower rates is another one, which begins from it in "
                "another folder (start.checkpoint=…/checkpoint-N rates.…=… --output NEW), its data, its schedule and "
                "the gate's noise from the start"
            )
        return (loss, outputs) if return_outputs else loss

    @property
    def noise_scale(self) -> float:
        """Weight of the gate's noise at this step."""
        return self.recipe.noise.at(self.state.global_step, self.state.max_steps)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Make the optimizer, a group for each part, split by what decays; it is made before the model is wrapped."""
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
        """Load the weights of a checkpoint.

        They are saved under the names of the released checkpoints, which the Trainer's own loading knows nothing of:
        it would warn, and go on with weights that have learned nothing.
        """
        if self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        loaded = type(self.learner).from_pretrained(resume_from_checkpoint, dtype=torch.float32)
        self.learner.load_state_dict(loaded.state_dict())

    def _evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Log what `evaluate_by` finds at this step, in the place where the Trainer evaluates."""
        assert self.evaluate_by is not None
        found = {f"eval_{name}": float(value) for name, value in self.evaluate_by(self.state.global_step).items()}
        self.log(found)
        self.control.should_evaluate = False
        return found

    def _maybe_log_save_evaluate(self, *args: Any, **options: Any) -> None:
        """Leave the time that evaluating and saving take out of what steps are said to take."""
        counts, began = self._counts, time.perf_counter()
        super()._maybe_log_save_evaluate(*args, **options)
        now = time.perf_counter()
        self._counts.started = counts.started + now - began if self._counts is counts else now

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add what a run of Quicksviewer is watched by."""
        if "loss" in logs:
            counts, self._counts = self._counts, _Counts()
            taken_s = max(time.perf_counter() - counts.started, 1e-9)
            logs |= {
                "noise": self.noise_scale,
                "gate_norm": self._gate_norm() / max(counts.steps, 1),
                "seconds": taken_s,
                "tokens_per_s": counts.tokens / taken_s,
                "frames_per_s": counts.frames * self.accelerator.num_processes / taken_s,
                "data_wait": counts.waited_s / taken_s,
                "samples": counts.samples,
                "skipped": self._broken,
            }
            assert self.optimizer is not None
            rates = {str(group.get("part")): group["lr"] for group in self.optimizer.param_groups}
            logs |= {f"rate_{part}": rates[part] for part in PARTS if part in rates}
        super().log({key: value for key, value in logs.items() if not _is_nan(value)}, start_time)

    def _gate_norm(self) -> float:
        """Return all processes' sum since it was last asked for."""
        own, self._gate_loss = self._gate_loss, 0.0
        return float(self.accelerator.reduce(torch.tensor(own, device=self.accelerator.device)))


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
