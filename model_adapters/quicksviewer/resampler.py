"""The 3-D resampler as a fold over frames: attend within each frame, then merge the frames of a cube.

The reference attends once over all tokens of a cube (spec model.md, section 2.5). Its queries are the same for every
cube, so the softmax splits by frame: keep each frame's attended values and the log of its softmax denominator, and
weigh the frames of a cube by their denominators, as split-KV decoding does. The time code is constant within a frame:
it only shifts that frame's log denominator and is added at the merge. A frame's partial result therefore knows neither
its index nor its cube, and one pass serves any set of boundaries.

Shape legend: T frames, C cubes, N tokens of a frame, Q queries, H heads, d vision width, D language width, E = D / H.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["FramePartials", "Resampler", "sincos", "weighted_sum_by_cube"]


class FramePartials(NamedTuple):
    """What the resampler keeps of each frame."""

    values_TQD: Tensor
    """Attention-weighted values, heads side by side."""
    log_weights_TQH: Tensor
    """Log of the softmax denominator of each query and head, float32, without the time code."""


class Resampler(nn.Module):
    """One cross-attention from learned queries to the tokens of a cube."""

    def __init__(
        self,
        vision_width: int,
        width: int,
        queries: int,
        heads: int,
        grid_size: int,
        norm_eps: float,
        position_base: float,
    ) -> None:
        super().__init__()
        self.heads, self.grid_size, self.position_base = heads, grid_size, position_base
        self.query = nn.Parameter(torch.zeros(queries, width))
        self.kv_proj = nn.Identity() if vision_width == width else nn.Linear(vision_width, width, bias=False)
        self.ln_q = nn.LayerNorm(width, eps=norm_eps)
        self.ln_kv = nn.LayerNorm(width, eps=norm_eps)
        # Holds the parameters in torch's own layout; it is computed frame by frame below, never called.
        self.attn = nn.MultiheadAttention(width, heads)
        self.ln_post = nn.LayerNorm(width, eps=norm_eps)
        self.proj = nn.Parameter(torch.zeros(width, width))

    def _heads_of(self, matrix: Tensor) -> Tensor:
        return matrix.unflatten(0, (self.heads, -1))

    def _score_map(self) -> Tensor:
        """Return the map (Q·H, D) from a token to its scores: the queries already through the key projection.

        The key bias shifts every score of a query alike, so the softmax and the merge cancel it.
        """
        to_query, to_key, _ = self.attn.in_proj_weight.chunk(3)
        bias, _, _ = self.attn.in_proj_bias.chunk(3)
        query_QHE = F.linear(self.ln_q(self.query), to_query, bias).unflatten(-1, (self.heads, -1))
        scale = query_QHE.shape[-1] ** -0.5
        return torch.einsum("qhe,hed->qhd", query_QHE * scale, self._heads_of(to_key)).flatten(0, 1)

    def _place_scores(self, score_map_RD: Tensor) -> Tensor:
        """Return what a token's place in the grid adds to its scores, (Q·H, N)."""
        width = score_map_RD.shape[-1]
        code = sincos(torch.arange(self.grid_size, device=score_map_RD.device), 3 * width // 8, self.position_base)
        rows, columns = code.repeat_interleave(self.grid_size, 0), code.repeat(self.grid_size, 1)
        return score_map_RD[:, width // 4 :].float() @ torch.cat([rows, columns], -1).T

    def attend_frames(self, feats_TNd: Tensor) -> FramePartials:
        """Attend within each frame; the result does not depend on the frame's index."""
        score_map_RD = self._score_map()
        tokens_TND = self.ln_kv(self.kv_proj(feats_TNd))
        scores_TRN = (score_map_RD @ tokens_TND.transpose(1, 2)).float() + self._place_scores(score_map_RD)
        log_weights_TR = scores_TRN.logsumexp(-1)
        weights_TRN = (scores_TRN - log_weights_TR.unsqueeze(-1)).exp().to(tokens_TND.dtype)
        pooled_HTQD = (weights_TRN @ tokens_TND).unflatten(1, (-1, self.heads)).permute(2, 0, 1, 3)
        to_value_HED = self._heads_of(self.attn.in_proj_weight.chunk(3)[2])
        values_HTQE = torch.einsum("htqd,hed->htqe", pooled_HTQD, to_value_HED)
        values_TQD = values_HTQE.permute(1, 2, 0, 3).flatten(2) + self.attn.in_proj_bias.chunk(3)[2]
        return FramePartials(values_TQD, log_weights_TR.unflatten(-1, (-1, self.heads)))

    def merge(self, partials: FramePartials, times_T: Tensor, cube_ids_T: Tensor, cubes: int) -> Tensor:
        """Merge the frames of each cube and project: (C, Q, D).

        Args:
            partials: the frames' partial results, in order of time.
            times_T: each frame's time index; the reference takes the frame's absolute number in its video.
            cube_ids_T: the cube of each frame, never decreasing.
            cubes: number of cubes.
        """
        values_TQD, log_weights_TQH = partials
        log_weights_TR = log_weights_TQH.flatten(1) + self._time_scores(times_T)
        index = cube_ids_T.unsqueeze(-1).expand_as(log_weights_TR)
        peak_CR = log_weights_TR.new_full((cubes, index.shape[-1]), -torch.inf)
        peak_CR = peak_CR.scatter_reduce(0, index, log_weights_TR.detach(), "amax")
        weights_TR = (log_weights_TR - peak_CR[cube_ids_T]).exp()
        total_CR = torch.zeros_like(peak_CR).index_add(0, cube_ids_T, weights_TR)
        weights_TR = (weights_TR / total_CR[cube_ids_T]).to(values_TQD.dtype)
        values_TRE = values_TQD.unflatten(-1, (self.heads, -1)).flatten(1, 2)
        # No name for the sum, so that `project` can free it.
        return self.project(
            weighted_sum_by_cube(values_TRE, weights_TR, cube_ids_T, cubes).unflatten(1, (-1, self.heads)).flatten(2)
        )

    def project(self, values_CQD: Tensor) -> Tensor:
        """Take attended values to the language model's space; a lone frame needs nothing more (its time cancels)."""
        # One name for every step, so that each can be freed before the next but one.
        values_CQD = self.attn.out_proj(values_CQD)
        values_CQD = self.ln_post(values_CQD)
        return values_CQD @ self.proj

    def _time_scores(self, times_T: Tensor) -> Tensor:
        """Return what a frame's time adds to its log denominators, (T, Q·H) float32."""
        score_map_RD = self._score_map()
        width = score_map_RD.shape[-1] // 4
        return sincos(times_T, width, self.position_base) @ score_map_RD[:, :width].float().T


def sincos(positions_P: Tensor, width: int, base: float) -> Tensor:
    """Return the code (P, width) of integer positions: all sines, then all cosines.

    In float32 throughout, as in the reference: with the rounding of the angles it is bit for bit the code that the
    weights were trained with.
    """
    half = width // 2
    frequencies = 1 / base ** (torch.arange(half, device=positions_P.device, dtype=torch.float32) / half)
    angles = positions_P.float().unsqueeze(-1) * frequencies
    return torch.cat([angles.sin(), angles.cos()], -1)


def weighted_sum_by_cube(values_TRE: Tensor, weights_TR: Tensor, cube_ids_T: Tensor, cubes: int) -> Tensor:
    """Sum weight × value over the frames of each cube: (C, R, E).

    `embedding_bag` does it without a weighted copy of `values`, which is the largest tensor of perception: every (cube,
    row) is a bag of the frames of that cube. Frames must come in order of their cubes.
    """
    frames, rows = weights_TR.shape
    device = weights_TR.device
    sizes_C = torch.zeros(cubes, dtype=torch.long, device=device).index_add(0, cube_ids_T, torch.ones_like(cube_ids_T))
    first_C = sizes_C.cumsum(0) - sizes_C
    row_R = torch.arange(rows, device=device)
    offsets_CR = first_C.unsqueeze(-1) * rows + sizes_C.unsqueeze(-1) * row_R
    rank_T = torch.arange(frames, device=device) - first_C[cube_ids_T]
    places_TR = offsets_CR[cube_ids_T] + rank_T.unsqueeze(-1)
    entries = torch.empty(frames * rows, dtype=torch.long, device=device)
    entries[places_TR.flatten()] = torch.arange(frames * rows, device=device)
    summed = F.embedding_bag(
        entries,
        values_TRE.flatten(0, 1),
        offsets_CR.flatten(),
        mode="sum",
        per_sample_weights=weights_TR.flatten()[entries],
    )
    return summed.unflatten(0, (cubes, rows))
