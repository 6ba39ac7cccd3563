"""Put the visual tokens where the text holds their place, once the cubes are known (docs/reference.md, section 7).

The processor writes every frame as timestamp and placeholder and says for each token which frame it belongs to. Of a
cube only the first frame's tokens stay. All of it is index arithmetic over the batch; there is no loop over tokens.

Shape legend: B rows, L tokens of a row as written, M tokens of a row as merged, S visual blocks, Q queries, D width.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from transformers.cache_utils import Cache
from transformers.utils import TransformersKwargs

from qsv_eval.model_adapters.quicksviewer.perception import VisualTokens

__all__ = [
    "IGNORED",
    "PADDING",
    "MergePlan",
    "VisualKind",
    "after_cache",
    "check_inputs",
    "check_keywords",
    "loss_labels",
    "one_cache",
    "pad_to_length",
    "plan_merge",
]


IGNORED = -100
"""Label of positions that take no part in the loss."""
PADDING = torch.iinfo(torch.long).min
"""Name of a merged position where there is no token."""


class VisualKind(IntEnum):
    """Kind of content that a token belongs to."""

    TEXT = 0
    TILE = 1
    THUMBNAIL = 2
    FRAME = 3
    """A frame's timestamp or its placeholder."""


class MergePlan(NamedTuple):
    """Target positions of text and visual tokens, as parallel index vectors."""

    length: int
    """M, tokens of the longest merged row."""
    text_source: tuple[Tensor, Tensor]
    """Row and column of each text token as written."""
    text_target: tuple[Tensor, Tensor]
    """Row and column of it as merged."""
    visual_target: tuple[Tensor, Tensor]
    """Row and column of each visual token as merged, S·Q of each."""
    visual_block: Tensor
    """Index of the visual block at each kept placeholder (S,)."""
    attention_mask: Tensor
    """(B, M): 1 where there is a token."""
    columns: Tensor
    """(B, L): column of the last merged token that stands for each written token or before it."""

    def names(self, input_ids: Tensor) -> Tensor:
        """Name every merged token, (B, M): text by its id, the i-th of all visual tokens by -1 - i, or `PADDING`.

        Two prompts over the same visual tokens read the same wherever their names are equal.
        """
        names_BM = input_ids.new_full(self.attention_mask.shape, PADDING)
        names_BM[self.text_target] = input_ids[self.text_source]
        if len(self.visual_block):
            queries = len(self.visual_target[0]) // len(self.visual_block)
            within_Q = torch.arange(queries, device=input_ids.device)
            names_BM[self.visual_target] = (-1 - (self.visual_block.unsqueeze(1) * queries + within_Q)).flatten()
        return names_BM


def plan_merge(
    is_placeholder: Tensor,
    visual_kind: Tensor,
    frame_ids: Tensor,
    attention_mask: Tensor,
    visual: VisualTokens,
    *,
    pad_left: bool,
) -> MergePlan:
    """Work out the merged layout.

    Args:
        is_placeholder: (B, L) bool, the visual placeholders.
        visual_kind: (B, L) `VisualKind` of each token.
        frame_ids: (B, L) frame of each token, counted over the whole batch; -1 outside of frames.
        attention_mask: (B, L), 0 at padding.
        visual: what was seen; its starts say which frames stay.
        pad_left: pad rows at their left (for generation) instead of their right.
    """
    starts_T = visual.starts_T
    in_frame = frame_ids >= 0
    keep = attention_mask.bool()
    if len(starts_T):
        keep = keep & (~in_frame | starts_T[frame_ids.clamp(min=0)])
    is_visual, is_text = keep & is_placeholder, keep & ~is_placeholder
    queries = visual.tiles_PQD.shape[1]
    widths_BL = is_text.long() + is_visual.long() * queries
    lengths_B = widths_BL.sum(1)
    length = int(lengths_B.max())
    pad_B = length - lengths_B if pad_left else torch.zeros_like(lengths_B)
    columns_BL = widths_BL.cumsum(1) - widths_BL + pad_B.unsqueeze(1)
    rows_BL = torch.arange(len(keep), device=keep.device).unsqueeze(1).expand_as(columns_BL)
    written_BL = torch.arange(keep.shape[1], device=keep.device).expand_as(columns_BL)
    offsets_Q = torch.arange(queries, device=keep.device)
    visual_columns = (columns_BL[is_visual].unsqueeze(1) + offsets_Q).flatten()
    place_M = torch.arange(length, device=keep.device).unsqueeze(0)
    begin_B1, end_B1 = pad_B.unsqueeze(1), (pad_B + lengths_B).unsqueeze(1)
    return MergePlan(
        length=length,
        text_source=(rows_BL[is_text], written_BL[is_text]),
        text_target=(rows_BL[is_text], columns_BL[is_text]),
        visual_target=(rows_BL[is_visual].repeat_interleave(queries), visual_columns),
        visual_block=_blocks(visual_kind, frame_ids, is_visual, visual),
        attention_mask=((place_M >= begin_B1) & (place_M < end_B1)).long(),
        columns=torch.maximum(columns_BL + widths_BL - 1, begin_B1),
    )


def _blocks(visual_kind: Tensor, frame_ids: Tensor, is_visual: Tensor, visual: VisualTokens) -> Tensor:
    """Return the number of the block of each kept placeholder within [tiles, thumbnails, cubes]."""
    kinds, frames = visual_kind[is_visual], frame_ids[is_visual]
    blocks = torch.empty_like(frames)
    tile, thumbnail, frame = (kinds == kind for kind in (VisualKind.TILE, VisualKind.THUMBNAIL, VisualKind.FRAME))
    blocks[tile] = torch.arange(int(tile.sum()), device=frames.device)
    blocks[thumbnail] = torch.arange(int(thumbnail.sum()), device=frames.device) + len(visual.tiles_PQD)
    before = len(visual.tiles_PQD) + len(visual.thumbnails_VQD)
    if len(visual.starts_T):
        blocks[frame] = (visual.starts_T.cumsum(0) - 1)[frames[frame]] + before
    total = before + _cubes_shown(frame_ids, visual)
    if len(blocks) != total:
        raise ValueError(f"the text has {len(blocks)} places for visual blocks, but {total} were given")
    return blocks


def _cubes_shown(frame_ids: Tensor, visual: VisualTokens) -> int:
    """Return how many cubes the text has to hold: all of a video of which it holds any frame."""
    if not len(visual.starts_T):
        return 0
    named_T = torch.zeros_like(visual.starts_T)
    named_T[frame_ids[frame_ids >= 0]] = True
    videos = zip(named_T.split(visual.frame_counts), visual.starts_T.split(visual.frame_counts), strict=True)
    return sum(int(starts_F.sum()) for named_F, starts_F in videos if named_F.any())


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


def pad_to_length(marks: Tensor | None, length: int, fill: int) -> Tensor | None:
    """Bring marks of tokens (B, L) to a length, where virtual tokens stand before those that are marked."""
    return None if marks is None else torch.nn.functional.pad(marks, (length - marks.shape[1], 0), value=fill)


def loss_labels(labels: Tensor, frame_ids: Tensor | None, cube_starts: Tensor | None, placeholder: int) -> Tensor:
    """Return the labels (B, L) without visual placeholders and frames that start no cube, which are not read."""
    labels = labels.masked_fill(torch.eq(labels, placeholder), IGNORED)
    frames = pad_to_length(frame_ids, labels.shape[1], -1)
    if frames is None or cube_starts is None:
        return labels
    frames = frames.to(labels.device)
    dropped = (frames >= 0) & (cube_starts.to(labels.device)[frames.clamp(min=0)] == 0)
    return labels.masked_fill(dropped, IGNORED)
