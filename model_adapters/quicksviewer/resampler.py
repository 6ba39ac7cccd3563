"""The 3-D resampler as a fold over frames: attend within each frame, then merge the frames of a cube.

The reference attends once over all tokens of a cube (docs/reference.md, section 5). Its queries are the same for every
cube, so the softmax splits by frame: keep each frame's attended values and the log of its softmax denominator, and
weigh the frames of a cube by their denominators, as split-KV decoding does. The time code is constant within a frame:
it only shifts that frame's log denominator and is added at the merge. A frame's partial result therefore knows neither
its index nor its cube, and one pass serves any set of boundaries.

Between the tower's features and the attention everything is linear but for one number for each token, the norm's
deviation. So key and value projections, norm and queries are multiplied out beforehand (`fold`), and no token ever
exists at the language model's width: a third of the arithmetic, and less memory.

Shape legend: T frames, C cubes, N tokens of a frame, Q queries, H heads, R = Q·H rows of scores, d vision width, D
language width, E = D / H.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qsv_eval.model_adapters.quicksviewer.device import full_precision
from qsv_eval.model_adapters.quicksviewer.weights import affine, base_layer, execution_device, parameter

__all__ = ["FoldedAttention", "FramePartials", "Resampler", "sincos", "weighted_sum_by_cube"]


class FramePartials(NamedTuple):
    """Per-frame results of the resampler."""

    values_TQD: Tensor
    """Attention-weighted values, heads side by side."""
    log_weights_TQH: Tensor
    """Log of the softmax denominator of each query and head, float32, without the time code."""


class FoldedAttention(NamedTuple):
    """The layer multiplied out, to act on the tower's features v directly. Made once for all frames of a call."""

    variance_dd: Tensor
    """vᵀ · this · v is the variance of the token at the language model's width, float32."""
    scores_Rd: Tensor
    """Features to scores, but for the division by the token's deviation."""
    places_RN: Tensor
    """Scores that a token's position in the grid adds, float32."""
    values_HEd: Tensor
    """Attention-weighted features to values."""
    bias_D: Tensor
    """Bias of the values."""


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

    @property
    def device(self) -> torch.device:
        """Device on which the attention is computed."""
        return execution_device(self)

    def _heads_of(self, matrix: Tensor) -> Tensor:
        return matrix.unflatten(0, (self.heads, -1))

    def _score_map(self) -> Tensor:
        """Return the map (Q·H, D) from a token to its scores: the queries already through the key projection.

        The key bias shifts every score of a query alike, so the softmax and the merge cancel it.
        """
        to_query, to_key, _ = parameter(self.attn, "in_proj_weight").chunk(3)
        bias, _, _ = parameter(self.attn, "in_proj_bias").chunk(3)
        query_QHE = F.linear(self.ln_q(parameter(self, "query")), to_query, bias).unflatten(-1, (self.heads, -1))
        scale = query_QHE.shape[-1] ** -0.5
        return torch.einsum("qhe,hed->qhd", query_QHE * scale, self._heads_of(to_key)).flatten(0, 1)

    def _place_scores(self, score_map_RD: Tensor) -> Tensor:
        """Return what a token's place in the grid adds to its scores, (Q·H, N)."""
        width = score_map_RD.shape[-1]
        code = sincos(torch.arange(self.grid_size, device=score_map_RD.device), 3 * width // 8, self.position_base)
        rows, columns = code.repeat_interleave(self.grid_size, 0), code.repeat(self.grid_size, 1)
        return score_map_RD[:, width // 4 :].float() @ torch.cat([rows, columns], -1).T

    def _to_width(self) -> Tensor:
        """Return the projection (D, d) of the features to the language model's width, float32."""
        if isinstance(self.kv_proj, nn.Identity):
            return torch.eye(self.query.shape[-1], device=self.device)
        return affine(self.kv_proj)[0]

    def fold(self) -> FoldedAttention:
        """Multiply out what does not depend on the frames, in float32."""
        with full_precision(self.device):
            dtype, width = self.query.dtype, self.query.shape[-1]
            to_width_Dd = self._to_width()
            centred_Dd = to_width_Dd - to_width_Dd.mean(0)  # the norm takes the mean away, which is linear
            normed_Dd = parameter(self.ln_kv, "weight").float().unsqueeze(-1) * centred_Dd
            to_value_DD = parameter(self.attn, "in_proj_weight").chunk(3)[2].float()
            score_map_RD = self._score_map().float()
            value_bias_D = parameter(self.attn, "in_proj_bias").chunk(3)[2].float()
            bias_D = to_value_DD @ parameter(self.ln_kv, "bias").float() + value_bias_D
            return FoldedAttention(
                variance_dd=centred_Dd.T @ centred_Dd / width,
                # The norm's bias, like the key's, shifts every score of a query alike and cancels.
                scores_Rd=(score_map_RD @ normed_Dd).to(dtype),
                places_RN=self._place_scores(score_map_RD),
                values_HEd=self._heads_of(to_value_DD @ normed_Dd).to(dtype),
                bias_D=bias_D.to(dtype),
            )

    def attend_frames(self, feats_TNd: Tensor, folded: FoldedAttention) -> FramePartials:
        """Attend within each frame; the result does not depend on the frame's index."""
        with full_precision(feats_TNd.device):
            exact_TNd = feats_TNd.float()
            variance_TN = torch.einsum("tnd,tnd->tn", exact_TNd @ folded.variance_dd, exact_TNd)
        scale_T1N = (variance_TN + self.ln_kv.eps).rsqrt().unsqueeze(1)
        scores_TRN = (folded.scores_Rd @ feats_TNd.transpose(1, 2)).float() * scale_T1N + folded.places_RN
        log_weights_TR = scores_TRN.logsumexp(-1)
        weights_TRN = ((scores_TRN - log_weights_TR.unsqueeze(-1)).exp() * scale_T1N).to(feats_TNd.dtype)
        pooled_HTQd = (weights_TRN @ feats_TNd).unflatten(1, (-1, self.heads)).permute(2, 0, 1, 3)
        values_HTQE = torch.einsum("htqd,hed->htqe", pooled_HTQd, folded.values_HEd)
        values_TQD = values_HTQE.permute(1, 2, 0, 3).flatten(2) + folded.bias_D
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
        values_CQD = base_layer(self.attn).out_proj(values_CQD)  # type: ignore[operator]
        values_CQD = self.ln_post(values_CQD)
        return values_CQD @ parameter(self, "proj")

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
