"""Put the visual tokens where the text holds their place, once the cubes are known (spec model.md, section 2.7).

The processor writes every frame as timestamp and placeholder and says for each token which frame it belongs to. Of a
cube only the first frame's tokens stay. All of it is index arithmetic over the batch; there is no loop over tokens.

Shape legend: B rows, L tokens of a row as written, M tokens of a row as merged, S visual blocks, Q queries, D width.
"""

from enum import IntEnum
from typing import NamedTuple

import torch
from torch import Tensor

from qsv_eval.model_adapters.quicksviewer.perception import VisualTokens

__all__ = ["IGNORED", "PADDING", "MergePlan", "VisualKind", "plan_merge"]

IGNORED = -100
"""Label of positions that take no part in the loss."""
PADDING = torch.iinfo(torch.long).min
"""Name of a merged position where there is no token."""


class VisualKind(IntEnum):
    """What a token belongs to."""

    TEXT = 0
    TILE = 1
    THUMBNAIL = 2
    FRAME = 3
    """A frame's timestamp or its placeholder."""


class MergePlan(NamedTuple):
    """Where everything goes: parallel index vectors."""

    length: int
    """M, tokens of the longest merged row."""
    text_source: tuple[Tensor, Tensor]
    """Row and column of each text token as written."""
    text_target: tuple[Tensor, Tensor]
    """Row and column of it as merged."""
    visual_target: tuple[Tensor, Tensor]
    """Row and column of each visual token as merged, S·Q of each."""
    visual_block: Tensor
    """Which block of the visual features stands at each kept placeholder (S,)."""
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
