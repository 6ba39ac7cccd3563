"""Checks and alignment of what the models' `forward` is given."""

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor
from transformers.cache_utils import Cache
from transformers.utils import TransformersKwargs

from qsv_eval.model_adapters.quicksviewer.merging import IGNORED

__all__ = ["after_cache", "check_inputs", "check_keywords", "extend_left", "learned_labels", "one_cache"]

_KEYWORDS: Final = frozenset(TransformersKwargs.__annotations__) | {"output_hidden_states", "output_attentions"}


def check_keywords(method: str, keywords: Mapping[str, Any]) -> None:
    """Raise a TypeError for a keyword that no model of the library takes; language models would pass over it."""
    if unknown := sorted(keywords.keys() - _KEYWORDS):
        raise TypeError(f"{method}: got an unexpected keyword argument {unknown[0]!r}")


def one_cache(past_key_values: Cache | None, cache: Cache | None) -> Cache | None:
    """Return the cache under whichever of its two names it was given."""
    if past_key_values is not None and cache is not None:
        raise ValueError("past_key_values and cache are two names of one thing: give one of them")
    return cache if past_key_values is None else past_key_values


def check_inputs(
    input_ids: Tensor | None,
    inputs_embeds: Tensor | None,
    visual_kind: Tensor | None,
    position_ids: Tensor | None,
    media: Mapping[str, Tensor | None],
) -> None:
    """Raise a ValueError where the inputs of a forward pass do not belong together.

    Args:
        input_ids: (B, L) or None.
        inputs_embeds: (B, L, D) or None.
        visual_kind: (B, L) or None.
        position_ids: (B, L) or None.
        media: pixels and counts by their names.
    """
    if (input_ids is None) == (inputs_embeds is None):
        raise ValueError("give either input_ids or inputs_embeds, not both and not neither")
    given = [name for name, value in media.items() if value is not None]
    if visual_kind is None and given:
        raise ValueError(f"{given[0]}: without visual_kind it has no place in the text; pass all the processor returns")
    if visual_kind is None:
        return
    if position_ids is not None:
        raise ValueError("position_ids: with visual_kind, positions follow from the merged sequence; leave them out")
    if media["pixel_values_videos"] is not None and media["frame_counts"] is None:
        raise ValueError("pixel_values_videos: frame_counts is missing, so it is unknown which frames are one video")
    length = (input_ids if inputs_embeds is None else inputs_embeds).shape[1]  # type: ignore[union-attr]
    if visual_kind.shape[1] > length or (input_ids is not None and visual_kind.shape[1] != length):
        raise ValueError(f"visual_kind: has {visual_kind.shape[1]} tokens a row, the text {length}; they must be alike")


def after_cache(cache: Cache | None, attention_mask: Tensor) -> Tensor:
    """Put what the cache holds, which is all attended to, before the mask of what is read now."""
    past = 0 if cache is None else int(cache.get_seq_length())
    return torch.cat([attention_mask.new_ones(len(attention_mask), past), attention_mask], 1)


def extend_left(marks: Tensor | None, length: int, fill: int) -> Tensor | None:
    """Bring marks of tokens (B, L) to a length, where virtual tokens stand before those that are marked."""
    return None if marks is None else torch.nn.functional.pad(marks, (length - marks.shape[1], 0), value=fill)


def learned_labels(labels: Tensor, frame_ids: Tensor | None, cube_starts: Tensor | None, placeholder: int) -> Tensor:
    """Return the labels (B, L) without visual placeholders and frames that start no cube, which are not read."""
    labels = labels.masked_fill(torch.eq(labels, placeholder), IGNORED)
    frames = extend_left(frame_ids, labels.shape[1], -1)
    if frames is None or cube_starts is None:
        return labels
    frames = frames.to(labels.device)
    dropped = (frames >= 0) & (cube_starts.to(labels.device)[frames.clamp(min=0)] == 0)
    return labels.masked_fill(dropped, IGNORED)
