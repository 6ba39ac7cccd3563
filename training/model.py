"""The model as it is trained: noise on the gate, packed rows, and a loss whose sums run over a whole step.

Shape legend: B rows, M tokens of the longest, D language width, V vocabulary.
"""

from dataclasses import dataclass
from os import PathLike
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.utils import ModelOutput

from qsv_eval.model_adapters.quicksviewer.merge_inputs import IGNORED
from qsv_eval.model_adapters.quicksviewer.modeling import MergedInputs, QuicksviewerForConditionalGeneration
from qsv_eval.model_adapters.quicksviewer.outputs import QuicksviewerCausalLMOutputWithPast
from qsv_eval.model_adapters.quicksviewer.packed_attention import SEGMENTED
from qsv_eval.model_adapters.quicksviewer.perception import GumbelNoise, Perception

__all__ = ["LossContext", "PackedInputs", "QuicksviewerForTraining", "TrainingOutput", "pack"]


class LossContext(NamedTuple):
    """Facts of a training step beyond its own batch: sums run over all batches of the step, on all processes."""

    tokens: Tensor | int
    """Learned tokens of the step; the loss is the sum over this batch divided by it."""
    gaps: Tensor | int
    """Gaps between frames of the step; the gate's norms are divided by it."""
    packed: bool = False
    """Put the rows of the batch one behind the other."""
    in_step: bool = False
    """Other processes may see a video where this one does not."""


class PackedInputs(NamedTuple):
    """Several rows as one, kept apart by `lengths` (`segments.py`), or by transformers where `position_ids` restart."""

    inputs_embeds: Tensor
    """(1, ΣM, D)."""
    position_ids: Tensor
    """(1, ΣM)."""
    labels: Tensor
    """(1, ΣM)."""
    lengths: tuple[int, ...]
    """M of each row."""


@dataclass
class TrainingOutput(ModelOutput):
    """Losses of a batch."""

    loss: Tensor | None = None
    """Cross-entropy plus the gate's weighted norm."""
    gate_loss: Tensor | None = None
    """Norm of the gate's logits; None where there is no gap between frames."""


class QuicksviewerForTraining(QuicksviewerForConditionalGeneration):
    """Quicksviewer whose forward pass returns the training loss alone where labels are given.

    Logits are made only at learned tokens: those of a whole batch would be gigabytes. Without labels, as while it
    answers for an evaluation, and in its checkpoints it is a `QuicksviewerForConditionalGeneration`.
    """

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        noise: GumbelNoise | None = None,
        context: LossContext | None = None,
        **inputs: Any,
    ) -> TrainingOutput | QuicksviewerCausalLMOutputWithPast:
        """Return the losses of a batch as the processor makes it; `labels` (B, L) as written, -100 where not learned.

        Without a `context` the batch is the whole step. Without `labels` this is the parent's forward pass, and the
        other inputs are its.
        """
        if labels is None:
            return super().forward(input_ids, attention_mask, logits_to_keep=logits_to_keep, **inputs)
        assert input_ids is not None, "labels are those of ids"
        assert attention_mask is not None, "the processor makes a mask"
        return self._losses(input_ids, attention_mask, labels, noise=noise, context=context, **inputs)

    def _losses(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor,
        visual_kind: Tensor,
        frame_ids: Tensor,
        pixel_values: Tensor | None = None,
        tile_counts: Tensor | None = None,
        pixel_values_videos: Tensor | None = None,
        frame_counts: Tensor | None = None,
        noise: GumbelNoise | None = None,
        context: LossContext | None = None,
    ) -> TrainingOutput:
        visual = self.perceive(pixel_values, pixel_values_videos, frame_counts, noise)
        merged = self.model.merge(input_ids, attention_mask, visual_kind, frame_ids, visual, labels)
        gate_logits = visual.gate_logits_G2
        if context is None:
            context = _of_batch(merged, gate_logits)
        inputs_embeds, positions = merged.inputs_embeds, None
        mask, learned, kwargs = merged.attention_mask, merged.labels, dict[str, Any]()
        if context.packed:
            mask, (inputs_embeds, positions, learned, lengths) = None, pack(merged)
            if self.config.text_config._attn_implementation == SEGMENTED:
                kwargs["segment_lengths"] = lengths
        hidden = self.model.language_model(
            attention_mask=mask,
            position_ids=positions,
            inputs_embeds=inputs_embeds,
            use_cache=False,  # with a cache, transformers does not keep packed rows apart
            **kwargs,
        ).last_hidden_state
        assert learned is not None, "labels are given"
        loss = self._loss_where_learned(hidden, learned, context.tokens)
        gate_loss = None
        if len(gate_logits):
            gate_loss = gate_logits.norm(dim=-1).sum() / context.gaps
            loss = loss + self.config.gate_loss_weight * gate_loss.to(loss.device)
        if context.in_step and max(visual.frame_counts, default=1) == 1:
            loss = loss + _idle(self.model.perception).to(loss.device)
        return TrainingOutput(loss=loss, gate_loss=gate_loss)

    def save_pretrained(
        self, save_directory: str | PathLike[str], is_main_process: bool = True, *args: Any, **kwargs: Any
    ) -> None:
        """Save as `QuicksviewerForConditionalGeneration` does, and under its name."""
        super().save_pretrained(save_directory, is_main_process, *args, **kwargs)
        self.config.architectures = [QuicksviewerForConditionalGeneration.__name__]
        if is_main_process:
            self.config.save_pretrained(save_directory)

    def _loss_where_learned(self, hidden_BMD: Tensor, labels_BM: Tensor, tokens: Tensor | int) -> Tensor:
        """Return the cross-entropies' sum divided by `tokens`; logits are made only where one learns from them."""
        targets_BM = labels_BM[:, 1:].to(hidden_BMD.device)
        learned_BM = targets_BM != IGNORED
        logits_LV = self.lm_head(hidden_BMD[:, :-1][learned_BM]).float()
        return F.cross_entropy(logits_LV, targets_BM[learned_BM], reduction="sum") / tokens


def pack(merged: MergedInputs) -> PackedInputs:
    """Put the rows one behind the other, without their padding."""
    assert merged.labels is not None, "packed rows are for training"
    real = merged.attention_mask.bool()
    position_ids = (merged.attention_mask.cumsum(1) - 1)[real].unsqueeze(0)
    first = position_ids == 0  # the end of a row does not predict the beginning of the next
    labels = merged.labels[real].unsqueeze(0).masked_fill(first, IGNORED)
    lengths = tuple(merged.attention_mask.sum(1).tolist())
    return PackedInputs(merged.inputs_embeds[real].unsqueeze(0), position_ids, labels, lengths)


def _of_batch(merged: MergedInputs, gate_logits_G2: Tensor) -> LossContext:
    assert merged.labels is not None, "labels are given"
    return LossContext((merged.labels[:, 1:] != IGNORED).sum(), max(len(gate_logits_G2), 1))


def _idle(perception: Perception) -> Tensor:
    """Return 0 with a gradient, of 0, to everything in perception that learns.

    A process of several whose batch holds no video must take part in what they exchange all the same.
    """
    side = perception.config.vision_config.image_size
    blank_TCHW = torch.zeros(2, 3, side, side, dtype=torch.uint8)
    seen = perception.cut(perception.summarise(blank_TCHW), (2,))
    return 0 * (seen.thumbnails_VQD.sum() + seen.cubes_CQD.sum() + seen.gate_logits_G2.sum())
