"""The resampler's parts: position code, sums over cubes, and its indifference to where a frame stands."""

import json

import pytest
import torch
from safetensors.torch import load_file

from qsv_eval.model_adapters.quicksviewer.resampler import sincos, weighted_sum_by_cube


def code(times, rows, columns, width):
    """The position code of a grid of points as the reference lays it out: time, row, column."""
    time, row, column = (
        sincos(torch.tensor(positions), part, 10000.0)
        for positions, part in ((times, width // 4), (rows, 3 * width // 8), (columns, 3 * width // 8))
    )
    shape = (len(times), len(rows), len(columns), -1)
    return torch.cat(
        [time[:, None, None].expand(shape), row[None, :, None].expand(shape), column[None, None].expand(shape)], -1
    )


def test_position_code_is_the_references(reference):
    table = load_file(reference / "pos_embed.safetensors")
    facts = json.loads((reference / "tables.json").read_text())["pos_embed"]
    small, large = facts["pos_embed_256"], facts["pos_embed_3584_t1"]
    found = code(small["t"], small["axis1"], small["axis2"], 256)
    expected = table["pos_embed_256"]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    found = code([large["t"]], large["axis1"], large["axis2"], 3584)
    torch.testing.assert_close(found[0], table["pos_embed_3584_t1"], rtol=0, atol=1e-6)


def by_loop(values_TRE, weights_TR, cube_ids, cubes):
    sums = [torch.zeros_like(values_TRE[0]) for _ in range(cubes)]
    for value, weight, cube in zip(values_TRE, weights_TR, cube_ids, strict=True):
        sums[cube] = sums[cube] + value * weight.unsqueeze(-1)
    return torch.stack(sums)


@pytest.mark.parametrize("cube_ids", [[0], [0, 0, 0], [0, 1, 2], [0, 0, 1, 2, 2, 2, 3]])
def test_weighted_sum_by_cube_is_the_loop(cube_ids):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(len(cube_ids), 5, 4, generator=generator, requires_grad=True)
    weights = torch.rand(len(cube_ids), 5, generator=generator, requires_grad=True)
    cubes = cube_ids[-1] + 1
    pull = torch.randn(cubes, 5, 4, generator=generator)
    found = weighted_sum_by_cube(values, weights, torch.tensor(cube_ids), cubes)
    expected = by_loop(values, weights, cube_ids, cubes)
    torch.testing.assert_close(found, expected)
    gradients = (torch.autograd.grad((out * pull).sum(), (values, weights)) for out in (found, expected))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_frames_partial_knows_neither_index_nor_neighbours(small_perception):
    resampler = small_perception().resampler
    feats = torch.randn(6, 36, 40)
    with torch.no_grad():
        folded = resampler.fold()
        together, alone = resampler.attend_frames(feats, folded), resampler.attend_frames(feats[4:5], folded)
    for ours, theirs in zip(together, alone, strict=True):
        torch.testing.assert_close(ours[4:5], theirs, rtol=1e-5, atol=1e-5)


def test_a_lone_frame_needs_no_merge(small_perception):
    resampler = small_perception().resampler
    with torch.no_grad():
        partials = resampler.attend_frames(torch.randn(3, 36, 40), resampler.fold())
        merged = resampler.merge(partials, torch.tensor([0, 7, 400]), torch.arange(3), 3)
        projected = resampler.project(partials.values_TQD)
    torch.testing.assert_close(merged, projected, rtol=1e-5, atol=1e-5)


def test_merge_survives_scores_of_any_size(small_perception):
    """A frame that outweighs all others by e^1000 must give its own values, not infinity or nothing."""
    resampler = small_perception().resampler
    with torch.no_grad():
        partials = resampler.attend_frames(torch.randn(3, 36, 40), resampler.fold())
        partials.log_weights_TQH[1] += 1000
        merged = resampler.merge(partials, torch.arange(3), torch.zeros(3, dtype=torch.long), 1)
        projected = resampler.project(partials.values_TQD[1:2])
    torch.testing.assert_close(merged, projected, rtol=1e-5, atol=1e-5)
