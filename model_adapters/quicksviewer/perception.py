"""Perception of pixels as visual tokens: a fold over chunks of frames, then thumbnail and cubes (docs/reference.md).

Frames go through SigLIP a chunk at a time and only their summaries stay (docs/design.md, decision 2), so memory grows
with frames × queries, not with frames × tokens, and the chunk size moves no number.

Shape legend: T frames, G gaps, C cubes, P image tiles, V videos, N tokens of a frame, Q queries, d vision width, D
language width.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import AutoModel

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.quicksviewer.configuration import QuicksviewerConfig
from qsv_eval.model_adapters.quicksviewer.gate import (
    Gate,
    choose_starts,
    cut_probabilities,
    equal_starts,
    gumbel_noise,
    plain_differences,
)
from qsv_eval.model_adapters.quicksviewer.resampler import FoldedAttention, FramePartials, Resampler
from qsv_eval.model_adapters.stage_timer import stage

__all__ = ["FrameSummaries", "GumbelNoise", "Perception", "VisualTokens"]


class FrameSummaries(NamedTuple):
    """All that stays of a run of frames: about Q × (D + d) values each."""

    means_Td: Tensor
    """Mean feature, float32, for the gate."""
    pooled_TQd: Tensor
    """Means of consecutive tokens, for the thumbnail."""
    partials: FramePartials
    """The resampler's attention within each frame."""

    def take(self, positions: Sequence[int]) -> "FrameSummaries":
        """Return the summaries of these frames; all of them, in order, are not copied."""
        if list(positions) == list(range(len(self.means_Td))):
            return self
        index = torch.as_tensor(positions, device=self.means_Td.device)
        partials = FramePartials(*(tensor[index] for tensor in self.partials))
        return FrameSummaries(self.means_Td[index], self.pooled_TQd[index], partials)

    @classmethod
    def join(cls, videos: Sequence["FrameSummaries"]) -> "FrameSummaries":
        """Put the summaries of several videos one behind the other; a single one is not copied."""
        if len(videos) == 1:
            return videos[0]
        partials = FramePartials(*map(torch.cat, zip(*(video.partials for video in videos), strict=True)))
        means, pooled = ([getattr(video, name) for video in videos] for name in ("means_Td", "pooled_TQd"))
        return cls(torch.cat(means), torch.cat(pooled), partials)


class GumbelNoise(NamedTuple):
    """Noise on the gate's logits while training."""

    scale: float
    uniform_G2: Tensor | None = None
    """Given uniform samples for all gaps of the batch; drawn when None."""


class VisualTokens(NamedTuple):
    """Visual tokens of a batch, videos and frames in order."""

    tiles_PQD: Tensor
    thumbnails_VQD: Tensor
    cubes_CQD: Tensor
    starts_T: Tensor
    """True where a frame starts a cube, over all videos."""
    gate_logits_G2: Tensor
    """Raw logits of all gaps, float32."""
    frame_counts: tuple[int, ...]
    """Frames of each video."""

    def bounds(self) -> list[list[tuple[int, int]]]:
        """Return each video's cubes as half-open frame ranges, counted from the video's first frame."""
        cubes = []
        for starts_T in self.starts_T.cpu().split(self.frame_counts):
            edges = [*starts_T.nonzero().flatten().tolist(), len(starts_T)]
            cubes.append(list(pairwise(edges)))
        return cubes


class Perception(nn.Module):
    """SigLIP, gate, thumbnail and resampler."""

    chunk_frames = 16
    """Frames that go through SigLIP at once: a trade of memory for speed that changes no result."""
    gradient_checkpointing = False
    """While training, keep of a chunk only its summaries and compute the rest again in the backward pass."""

    def __init__(self, config: QuicksviewerConfig) -> None:
        super().__init__()
        self.config = config
        vision_width, width = config.vision_config.hidden_size, config.text_config.hidden_size
        assert config.resampler_heads, "the config fills it in"
        self.vision_tower = AutoModel.from_config(config.vision_config)
        self.gate = Gate(vision_width, config.gate_momentum, config.gate_norm_eps)
        self.thumbnail = nn.Linear(vision_width, width) if config.use_thumbnail else None
        self.resampler = Resampler(
            vision_width,
            width,
            queries=config.num_queries,
            heads=config.resampler_heads,
            grid_size=config.grid_size,
            norm_eps=config.resampler_norm_eps,
            position_base=config.position_base,
        )

    @property
    def dtype(self) -> torch.dtype:
        """Floating type of the weights."""
        return self.resampler.query.dtype

    def encode(self, pixels_TCHW: Tensor) -> Tensor:
        """Run SigLIP on pixels, uint8 or already normalised, and resample its tokens to the grid: (T, N, d).

        The features are those of the last encoder layer before the final norm, as in the reference; the tower's norm
        and pooling head are loaded but never run.
        """
        tower = self.vision_tower
        tokens_TMd = tower.encoder(inputs_embeds=tower.embeddings(self._normalise(pixels_TCHW))).last_hidden_state
        side, grid = round(tokens_TMd.shape[1] ** 0.5), self.config.grid_size
        if side == grid:
            return tokens_TMd
        image_TdHW = tokens_TMd.float().transpose(1, 2).unflatten(-1, (side, side))
        image_TdHW = F.interpolate(image_TdHW, size=(grid, grid), mode="bilinear", align_corners=False)
        return image_TdHW.flatten(2).transpose(1, 2).to(tokens_TMd.dtype)

    def _normalise(self, pixels_TCHW: Tensor) -> Tensor:
        pixels_TCHW = pixels_TCHW.to(self.resampler.device)
        if pixels_TCHW.dtype != torch.uint8:
            return pixels_TCHW.to(self.dtype)
        shape = (1, -1, 1, 1)
        mean = torch.tensor(self.config.image_mean, device=pixels_TCHW.device).view(shape)
        std = torch.tensor(self.config.image_std, device=pixels_TCHW.device).view(shape)
        return ((pixels_TCHW.float() / 255 - mean) / std).to(self.dtype)

    def summarise(self, pixels_TCHW: Tensor) -> FrameSummaries:
        """Fold frames (T, 3, height, width) into their summaries, a chunk at a time."""
        if not len(pixels_TCHW):
            raise ValueError("there are no frames to look at")
        with stage("cubing"):
            folded = self.resampler.fold()
            chunks = pixels_TCHW.split(self.chunk_frames)
            if torch.is_grad_enabled():
                return FrameSummaries.join([self._learning_chunk(chunk_TCHW, folded) for chunk_TCHW in chunks])
            kept: FrameSummaries | None = None
            for number, chunk_TCHW in enumerate(chunks):
                part = self._summarise_chunk(chunk_TCHW, folded)
                if kept is None:
                    kept = _room_for(len(pixels_TCHW), part)
                _put(kept, number * self.chunk_frames, part)
                del part  # or it would be alive throughout the next chunk
        assert kept is not None
        return kept

    def _summarise_chunk(self, pixels_TCHW: Tensor, folded: FoldedAttention) -> FrameSummaries:
        with stage("vit"):
            feats_TNd = self.encode(pixels_TCHW)
        return self._summary(feats_TNd, folded)

    def _summary(self, feats_TNd: Tensor, folded: FoldedAttention) -> FrameSummaries:
        pooled_TQd = feats_TNd.unflatten(1, (self.config.num_queries, -1)).mean(2)
        partials = self.resampler.attend_frames(feats_TNd, folded)
        return FrameSummaries(feats_TNd.float().mean(1), pooled_TQd, partials)

    def _learning_chunk(self, pixels_TCHW: Tensor, folded: FoldedAttention) -> FrameSummaries:
        """Summarise a chunk so that gradients can go back through it."""
        work: Callable[[Tensor, FoldedAttention], FrameSummaries]
        if any(parameter.requires_grad for parameter in self.vision_tower.parameters()):
            work, given = self._summarise_chunk, pixels_TCHW
        else:  # a tower that does not learn need not look twice
            with torch.no_grad():
                work, given = self._summary, self.encode(pixels_TCHW)
        if self.gradient_checkpointing and self.training:
            summaries: FrameSummaries = checkpoint(work, given, folded, use_reentrant=False)
            return summaries
        return work(given, folded)

    def forward(
        self,
        tiles_PCHW: Tensor | None = None,
        frames_TCHW: Tensor | None = None,
        frame_counts: tuple[int, ...] = (),
        noise: GumbelNoise | None = None,
        starts_T: Tensor | None = None,
    ) -> VisualTokens:
        """See the images and videos of a batch.

        Args:
            tiles_PCHW: tiles of all images, uint8 or normalised.
            frames_TCHW: frames of all videos, likewise.
            frame_counts: frames of each video, in order; they sum to T.
            noise: Gumbel noise for training; None chooses the most probable cuts.
            starts_T: frames that start a cube, as another model chose them; None lets the gate choose.
        """
        tiles = None if tiles_PCHW is None or not len(tiles_PCHW) else self.summarise(tiles_PCHW)
        frames = None if frames_TCHW is None or not frame_counts else self.summarise(frames_TCHW)
        return self.tokens(tiles, frames, frame_counts, noise, starts_T=starts_T)

    def tokens(
        self,
        tiles: FrameSummaries | None,
        frames: FrameSummaries | None,
        frame_counts: tuple[int, ...] = (),
        noise: GumbelNoise | None = None,
        rule: CubeRule | None = None,
        starts_T: Tensor | None = None,
    ) -> VisualTokens:
        """Turn the summaries of images' tiles and of videos' frames into visual tokens; None where there are none.

        Videos are cut by `rule`, or else as the configuration says, or where `starts_T` says.
        """
        empty = torch.zeros(0, *self.resampler.query.shape, dtype=self.dtype, device=self.resampler.device)
        with stage("cubing"):
            tiles_PQD = empty if tiles is None else self.resampler.project(tiles.partials.values_TQD)
            if frames is None:
                none = torch.zeros(0, device=empty.device)
                return VisualTokens(tiles_PQD, empty, empty, none.bool(), none.view(0, 2), ())
            return self.cut(frames, frame_counts, noise, rule, starts_T)._replace(tiles_PQD=tiles_PQD)

    def cut(
        self,
        summaries: FrameSummaries,
        frame_counts: tuple[int, ...],
        noise: GumbelNoise | None = None,
        rule: CubeRule | None = None,
        starts_T: Tensor | None = None,
    ) -> VisualTokens:
        """Cut videos into cubes from their summaries; may be called again with another rule.

        With `starts_T` (T,) videos are cut there, wherever the gate would have.
        """
        rule = rule or self.config.cube_rule
        videos, start, used_gaps = [], 0, 0
        for count in frame_counts:
            means_Td = summaries.means_Td[start : start + count]
            logits_G2, noise_G2 = self._gap_logits(means_Td, noise, used_gaps)
            videos.append((logits_G2, *self._starts(means_Td, logits_G2, noise_G2, rule)))
            start, used_gaps = start + count, used_gaps + count - 1
        logits, starts, masks = (list(part) for part in zip(*videos, strict=True))
        given = starts_T is not None
        if starts_T is None:
            starts_T = torch.cat(starts)
        else:
            starts_T = starts_T.to(starts[0].device)
            masks = list(starts_T.float().split(frame_counts))
        times_T = torch.cat([torch.arange(count, device=starts_T.device) for count in frame_counts])
        cubes = int(starts_T.sum()) if given else sum(map(rule.cubes, frame_counts))
        cubes_CQD = self.resampler.merge(summaries.partials, times_T, starts_T.cumsum(0) - 1, cubes)
        tiles_PQD = cubes_CQD.new_zeros(0, *cubes_CQD.shape[1:])
        return VisualTokens(
            tiles_PQD,
            self._thumbnails(summaries.pooled_TQd, masks),
            cubes_CQD,
            starts_T,
            torch.cat(logits),
            frame_counts,
        )

    def _gap_logits(self, means_Td: Tensor, noise: GumbelNoise | None, offset: int) -> tuple[Tensor, Tensor | None]:
        gaps = len(means_Td) - 1
        if gaps == 0:  # a lone frame is one cube; there is nothing to choose
            return means_Td.new_zeros(0, 2), None
        logits_G2 = self.gate(means_Td)
        if noise is None or noise.scale == 0:
            return logits_G2, None
        if noise.uniform_G2 is None:
            return logits_G2, noise.scale * gumbel_noise(torch.rand_like(logits_G2))
        return logits_G2, noise.scale * gumbel_noise(noise.uniform_G2[offset : offset + gaps].to(logits_G2.device))

    def _starts(
        self, means_Td: Tensor, logits_G2: Tensor, noise_G2: Tensor | None, rule: CubeRule
    ) -> tuple[Tensor, Tensor]:
        """Return which frames start a cube (T,), as bool and as a mask that may carry gradient."""
        cuts = rule.cuts(len(means_Td))
        if rule.cubing == "learned":
            return choose_starts(cut_probabilities(logits_G2, self.config.gate_temperature, noise_G2), cuts)
        if rule.cubing == "difference":
            return choose_starts(plain_differences(means_Td.detach()), cuts)
        starts_T = equal_starts(len(means_Td), cuts).to(means_Td.device)
        return starts_T, starts_T.float()

    def _thumbnails(self, pooled_TQd: Tensor, masks: list[Tensor]) -> Tensor:
        """Average the first frames of each video's cubes: (V, Q, D).

        The sum runs over every frame: unchosen ones weigh 0 but carry the straight-through gradient to the gate.
        """
        if self.thumbnail is None:
            return pooled_TQd.new_zeros(0, pooled_TQd.shape[1], self.config.text_config.hidden_size)
        videos = pooled_TQd.split([len(mask_T) for mask_T in masks])
        choose = _choose_centred if self.config.gate_centred else torch.matmul
        means = [
            choose(mask_T.to(pooled.dtype), pooled.flatten(1)).unflatten(0, pooled.shape[1:]) / mask_T.sum().detach()
            for mask_T, pooled in zip(masks, videos, strict=True)
        ]
        weight = self.thumbnail.weight
        return self.thumbnail(torch.stack(means).to(weight.dtype if weight.is_floating_point() else self.dtype))


def _choose_centred(mask_T: Tensor, values_TV: Tensor) -> Tensor:
    """Return mask @ values, whose gradient to the mask sees the values without their mean."""
    chosen_V = mask_T.detach() @ values_TV
    centred_TV = (values_TV - values_TV.mean(0)).detach()
    return chosen_V + (mask_T - mask_T.detach()) @ centred_TV


def _room_for(frames: int, part: FrameSummaries) -> FrameSummaries:
    """Allocate summaries for all frames at once: joining the chunks at the end would hold everything twice."""

    def room(tensor: Tensor) -> Tensor:
        return tensor.new_empty(frames, *tensor.shape[1:])

    return FrameSummaries(room(part.means_Td), room(part.pooled_TQd), FramePartials(*map(room, part.partials)))


def _put(kept: FrameSummaries, start: int, part: FrameSummaries) -> None:
    rooms = (kept.means_Td, kept.pooled_TQd, *kept.partials)
    for room, tensor in zip(rooms, (part.means_Td, part.pooled_TQd, *part.partials), strict=True):
        room[start : start + len(tensor)] = tensor
