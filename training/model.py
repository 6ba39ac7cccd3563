"""Training variant of the model: noise on the gate, packed rows, and losses averaged over a whole step.

Shape legend: B rows, M tokens of the longest row, D language width, V vocabulary.
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
    """Denominators of the losses, summed over all micro-batches and processes of a step, and options of the step."""

    tokens: Tensor | int
    """Number of tokens with labels; divides the batch's summed cross-entropy."""
    gaps: Tensor | int
    """Number of gaps between frames; divides the batch's summed gate norms."""
    packed: bool = False
    """Concatenate the rows of the batch into one row without padding."""
    use_all_perception: bool = False
    """Give all of perception a gradient, also in a batch without video, because other processes may have a video."""


class PackedInputs(NamedTuple):
    """Rows concatenated into one, separated by `lengths` (`packed_attention.py`) or by restarting `position_ids`."""

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
    """Norm of the gate's logits; None if the batch has no gap between frames."""


class QuicksviewerForTraining(QuicksviewerForConditionalGeneration):
    """Quicksviewer whose forward pass with labels returns the training loss alone.

    Logits are computed only for tokens with labels, because those of a whole batch would take gigabytes. Without
    labels, and in checkpoints, it is a `QuicksviewerForConditionalGeneration`.
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
        """Return the losses of a batch from the processor; `labels` (B, L) belong to `input_ids`, -100 is ignored.

        Without a `context` the batch is the whole step. Without `labels` this is the parent's forward pass.
        """
        if labels is None:
            return super().forward(input_ids, attention_mask, logits_to_keep=logits_to_keep, **inputs)
        assert input_ids is not None, "labels need input_ids"
        assert attention_mask is not None, "labels need an attention_mask"
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
            context = _batch_context(merged, gate_logits)
        inputs_embeds, positions = merged.inputs_embeds, None
        mask, merged_labels, kwargs = merged.attention_mask, merged.labels, dict[str, Any]()
        if context.packed:
            mask, (inputs_embeds, positions, merged_labels, lengths) = None, pack(merged)
            if self.config.text_config._attn_implementation == SEGMENTED:
                kwargs["segment_lengths"] = lengths
        hidden = self.model.language_model(
            attention_mask=mask,
            position_ids=positions,
            inputs_embeds=inputs_embeds,
            use_cache=False,  # with a cache, transformers does not separate packed rows
            **kwargs,
        ).last_hidden_state
        assert merged_labels is not None, "labels are given"
        loss = self._cross_entropy(hidden, merged_labels, context.tokens)
        gate_loss = None
        if len(gate_logits):
            gate_loss = gate_logits.norm(dim=-1).sum() / context.gaps
            loss = loss + self.config.gate_loss_weight * gate_loss.to(loss.device)
        if context.use_all_perception and max(visual.frame_counts, default=1) == 1:
            loss = loss + _zero_loss(self.model.perception).to(loss.device)
        return TrainingOutput(loss=loss, gate_loss=gate_loss)

    def save_pretrained(
        self, save_directory: str | PathLike[str], is_main_process: bool = True, *args: Any, **kwargs: Any
    ) -> None:
        """Save the model as a `QuicksviewerForConditionalGeneration`."""
        super().save_pretrained(save_directory, is_main_process, *args, **kwargs)
        self.config.architectures = [QuicksviewerForConditionalGeneration.__name__]
        if is_main_process:
            self.config.save_pretrained(save_directory)

    def _cross_entropy(self, hidden_BMD: Tensor, labels_BM: Tensor, tokens: Tensor | int) -> Tensor:
        """Return the summed cross-entropy divided by `tokens`; logits are computed only for tokens with labels."""
        targets_BM = labels_BM[:, 1:].to(hidden_BMD.device)
        mask_BM = targets_BM != IGNORED
        logits_LV = self.lm_head(hidden_BMD[:, :-1][mask_BM]).float()
        return F.cross_entropy(logits_LV, targets_BM[mask_BM], reduction="sum") / tokens


def pack(merged: MergedInputs) -> PackedInputs:
    """Concatenate the rows without their padding."""
    assert merged.labels is not None, "only training packs rows"
    real = merged.attention_mask.bool()
    position_ids = (merged.attention_mask.cumsum(1) - 1)[real].unsqueeze(0)
    first = position_ids == 0  # do not predict across row boundaries
    labels = merged.labels[real].unsqueeze(0).masked_fill(first, IGNORED)
    lengths = tuple(merged.attention_mask.sum(1).tolist())
    return PackedInputs(merged.inputs_embeds[real].unsqueeze(0), position_ids, labels, lengths)


def _batch_context(merged: MergedInputs, gate_logits_G2: Tensor) -> LossContext:
    assert merged.labels is not None, "labels are given"
    return LossContext((merged.labels[:, 1:] != IGNORED).sum(), max(len(gate_logits_G2), 1))


def _zero_loss(perception: Perception) -> Tensor:
    """Return a loss of 0 whose gradient reaches, as 0, all trained parameters of perception.

    A process without a video in its batch must still take part in the exchange of gradients.
    """
    side = perception.config.vision_config.image_size
    blank_TCHW = torch.zeros(2, 3, side, side, dtype=torch.uint8)
    visual = perception.cut(perception.summarise(blank_TCHW), (2,))
    return 0 * (visual.thumbnails_VQD.sum() + visual.cubes_CQD.sum() + visual.gate_logits_G2.sum())
