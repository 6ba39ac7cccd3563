"""Outputs of the Quicksviewer models: the library's, and what perception saw.

Shape legend: B rows, L tokens of a row as written, M as merged, P image tiles, C cubes, T frames, G gaps between
frames, Q queries, D language width, V vocabulary.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from qsv_eval.model_adapters.quicksviewer.perception import VisualTokens

__all__ = ["QuicksviewerCausalLMOutputWithPast", "QuicksviewerModelOutputWithPast", "visual_outputs"]


@dataclass
class QuicksviewerModelOutputWithPast(BaseModelOutputWithPast):
    """Output of `QuicksviewerModel`.

    `last_hidden_state` (B, L, D) has one state for each token as it is written in `input_ids`, so it fits labels: the
    state after the last merged token that stands there or before. Cache, hidden states and attentions have M.
    """

    image_hidden_states: Tensor | None = None
    """(P, Q, D): visual tokens of the image tiles."""
    video_hidden_states: Tensor | None = None
    """(C, Q, D): visual tokens of the cubes of all videos, without their thumbnails."""
    cube_starts: Tensor | None = None
    """(T,): 1 for each frame that starts a cube and 0 for the others, over all videos."""
    gate_logits: Tensor | None = None
    """(G, 2): the gate's logits (stay, cut) between neighbouring frames, float32."""


@dataclass
class QuicksviewerCausalLMOutputWithPast(CausalLMOutputWithPast):
    """Output of `QuicksviewerForConditionalGeneration`; the loss is cross-entropy plus the gate's weighted norm.

    `logits` (B, L, V) predict what follows each token as it is written in `input_ids`, so they fit labels.
    """

    image_hidden_states: Tensor | None = None
    video_hidden_states: Tensor | None = None
    cube_starts: Tensor | None = None
    gate_logits: Tensor | None = None
    gate_loss: Tensor | None = None
    """Mean norm of the gate's logits; None where there is no gap between frames, or without labels."""


def visual_outputs(visual: VisualTokens | None) -> dict[str, Any]:
    """Return the fields of an output that say what was seen; nothing for what was not there."""
    if visual is None:
        return {}
    found = {
        "image_hidden_states": visual.tiles_PQD,
        "video_hidden_states": visual.cubes_CQD,
        "cube_starts": visual.starts_T.long(),  # numbers, so that outputs can be compared and gathered like any
        "gate_logits": visual.gate_logits_G2,
    }
    return {name: value for name, value in found.items() if len(value)}
