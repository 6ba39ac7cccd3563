"""Attention within packed rows: several rows one behind the other, of which each sees only itself.

transformers keeps packed rows apart by a mask of all tokens with all, or by flash-attn. Here each row is attended to by
itself, which needs neither and costs what the rows cost alone. It is an attention implementation by the name of
`segmented`, to be chosen like `sdpa`.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

__all__ = ["SEGMENTED"]

SEGMENTED = "segmented"


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    segment_lengths: Sequence[int] | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend within each segment.

    Args:
        module: the attention layer; says whether it is causal.
        query: (B, heads, M, head width).
        key: (B, fewer or as many heads, M, head width).
        value: likewise.
        attention_mask: for rows that are padded instead; then this is SDPA.
        scaling: of the products of queries and keys.
        segment_lengths: tokens of each segment; they sum to M. None means a single one.
        kwargs: what SDPA takes beyond.

    Returns:
        (B, M, heads, head width), and None for the weights.
    """
    if attention_mask is not None or query.shape[2] != key.shape[2]:
        mixed, _ = sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
        return mixed, None
    attend = _plain if query.device.type == "cpu" else _fused
    lengths = [query.shape[2]] if segment_lengths is None else list(segment_lengths)
    causal = bool(getattr(module, "is_causal", True))
    parts = zip(*(tensor.split(lengths, dim=2) for tensor in (query, key, value)), strict=True)
    mixed = torch.cat([attend(*part, scaling=scaling, causal=causal) for part in parts], dim=2)
    return mixed.transpose(1, 2).contiguous(), None


def _plain(query: Tensor, key: Tensor, value: Tensor, *, scaling: float, causal: bool) -> Tensor:
    """Attend step by step: on a CPU the fused kernel is no faster when it has to learn (docs/performance.md)."""
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scores = (query * scaling) @ key.transpose(-1, -2)
    if causal:
        side = scores.shape[-1]
        later = torch.ones(side, side, dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, float("-inf"))
    return scores.softmax(-1).to(value.dtype) @ value


def _fused(query: Tensor, key: Tensor, value: Tensor, *, scaling: float, causal: bool) -> Tensor:
    return F.scaled_dot_product_attention(
        query, key, value, scale=scaling, is_causal=causal, enable_gqa=query.shape[1] != key.shape[1]
    )


def _mask(*args: Any, **kwargs: Any) -> Tensor | None:
    """Return no mask where none was given and tokens look at themselves: lengths keep packed rows apart, not masks."""
    if kwargs.get("attention_mask") is None and kwargs["q_length"] == kwargs["kv_length"]:
        return None
    return sdpa_mask(*args, **kwargs)


AttentionInterface.register(SEGMENTED, packed_attention)
AttentionMaskInterface.register(SEGMENTED, _mask)
