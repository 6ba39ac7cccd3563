"""Perception written plainly from docs/reference.md, sections 4 and 5: everything is kept, and there are loops.

The tests compare the streamed code with it; `benchmarks/perception.py` races against it.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F


def position_table(frames, grid, width, base=10000.0):
    """(frames, grid, grid, width): a quarter of the width for the time, three eighths each for row and column."""

    def code(positions, part):
        frequencies = torch.tensor([base ** (-j / (part // 2)) for j in range(part // 2)])
        angles = torch.arange(positions).unsqueeze(-1) * frequencies
        return torch.cat([angles.sin(), angles.cos()], -1)

    time, place = code(frames, width // 4), code(grid, 3 * width // 8)
    return torch.cat(
        [
            time[:, None, None].expand(-1, grid, grid, -1),
            place[None, :, None].expand(frames, -1, grid, -1),
            place[None, None, :].expand(frames, grid, -1, -1),
        ],
        -1,
    )


def gate_logits(gate, feats_TNd, momentum):
    """The momentum runs over whole feature maps, then Linear, then the mean over the tokens."""
    running = [feats_TNd[1] - feats_TNd[0]]
    for previous, frame in pairwise(feats_TNd[1:]):
        running.append(momentum * (frame - previous) + (1 - momentum) * running[-1])
    means_Gd = gate.aggregate(torch.stack(running)).mean(1)
    return gate.logits(F.gelu(gate.hidden(gate.norm(means_Gd))))


def starts_and_mask(logits_G2, temperature, frames_per_cube, noise_G2=None):
    """The chosen starts and the straight-through mask of one video."""
    noisy = logits_G2 if noise_G2 is None else logits_G2 + noise_G2
    probs = torch.softmax(noisy / temperature, -1)[:, 1]
    cuts = max(round((len(probs) + 1) / frames_per_cube) - 1, 1)
    chosen = torch.topk(probs, cuts).indices
    hard = torch.zeros_like(probs).scatter(0, chosen, 1.0)
    mask = torch.cat([torch.ones(1), (hard - probs).detach() + probs])
    return [0, *sorted((chosen + 1).tolist())], mask


def thumbnail(linear, feats_TNd, mask_T, queries):
    """The weighted mean of whole feature maps, then pooling, then Linear."""
    mean_Nd = (feats_TNd * mask_T[:, None, None]).sum(0) / mask_T.sum().detach()
    return linear(F.avg_pool1d(mean_Nd.T.unsqueeze(0), len(mean_Nd) // queries).squeeze(0).T)


def resample(resampler, feats_TNd, first_frame, table):
    """One attention call over all tokens of a cube."""
    tokens = resampler.ln_kv(resampler.kv_proj(feats_TNd)).flatten(0, 1)
    keys = tokens + table[first_frame : first_frame + len(feats_TNd)].flatten(0, 2).to(tokens.dtype)
    attended, _ = resampler.attn(resampler.ln_q(resampler.query), keys, tokens, need_weights=False)
    return resampler.ln_post(attended) @ resampler.proj


def table_of(perception, frames):
    """The position table, of at least 300 frames as in the reference."""
    return position_table(max(300, frames), perception.config.grid_size, perception.resampler.query.shape[1])


def perceive(perception, feats_TNd, noise_G2=None, table=None):
    """Cut one video: (logits, starts, thumbnail or None, cubes)."""
    config = perception.config
    table = table_of(perception, len(feats_TNd)) if table is None else table
    logits = gate_logits(perception.gate, feats_TNd, config.gate_momentum)
    starts, mask = starts_and_mask(logits, config.gate_temperature, config.frames_per_cube, noise_G2)
    small = thumbnail(perception.thumbnail, feats_TNd, mask, config.num_queries) if perception.thumbnail else None
    edges = [*starts, len(feats_TNd)]
    cubes = [resample(perception.resampler, feats_TNd[start:end], start, table) for start, end in pairwise(edges)]
    return logits, starts, small, torch.stack(cubes)
