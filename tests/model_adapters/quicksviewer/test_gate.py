"""The gate: its arithmetic, its counts and its precision."""

from itertools import pairwise

import pytest
import torch

from qsv_eval.model_adapters.quicksviewer.gate import (
    Gate,
    choose_starts,
    cut_probabilities,
    equal_starts,
    gumbel_noise,
    plain_differences,
    running_difference,
)


def recurrence(frames_Td, momentum):
    running = [frames_Td[1] - frames_Td[0]]
    for previous, frame in pairwise(frames_Td[1:]):
        running.append(momentum * (frame - previous) + (1 - momentum) * running[-1])
    return torch.stack(running)


@pytest.mark.parametrize("momentum", [0.1, 0.3, 0.5, 0.8, 0.99, 1.0])
@pytest.mark.parametrize("frames", [2, 3, 4, 5, 17, 100, 300])
def test_running_difference_is_the_recurrence(frames, momentum):
    frames_Td = torch.randn(frames, 8, generator=torch.Generator().manual_seed(frames))
    expected = recurrence(frames_Td.double(), momentum).float()
    torch.testing.assert_close(running_difference(frames_Td, momentum), expected, rtol=1e-5, atol=1e-5)


def test_running_difference_of_a_lone_frame_is_empty():
    assert running_difference(torch.randn(1, 8), 0.8).shape == (0, 8)


def test_running_difference_passes_the_gradient_of_the_recurrence():
    frames_Td = torch.randn(40, 3, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(39, 3, dtype=torch.float64)
    expected = torch.autograd.grad((recurrence(frames_Td, 0.3) * weights).sum(), frames_Td)
    found = torch.autograd.grad((running_difference(frames_Td, 0.3) * weights).sum(), frames_Td)
    torch.testing.assert_close(found, expected)


def test_starts_and_straight_through_mask():
    probs_G = torch.tensor([0.1, 0.9, 0.3, 0.8], requires_grad=True)
    starts_T, mask_T = choose_starts(probs_G, 2)
    assert starts_T.tolist() == [True, False, True, False, True]
    assert mask_T.detach()[~starts_T].eq(0).all(), "unchosen frames must weigh exactly nothing"
    torch.testing.assert_close(mask_T.detach()[starts_T], torch.ones(3))
    (gradient,) = torch.autograd.grad((mask_T * torch.arange(5.0)).sum(), probs_G)
    assert gradient.tolist() == [1.0, 2.0, 3.0, 4.0], "every gap, chosen or not, gets the gradient of its frame"


def test_noise_is_gumbel_and_finite_at_the_ends():
    noise = gumbel_noise(torch.tensor([0.0, 0.5, 1.0]))
    assert noise.isfinite().all()
    assert noise[0].item() == pytest.approx(-3.8297646)  # the reference's value (docs/reference.md, section 4)
    assert noise[1].item() == pytest.approx(0.3665129)


def test_probabilities_by_temperature():
    logits_G2 = torch.tensor([[0.0, 1.0]])
    assert cut_probabilities(logits_G2, 0.5).item() == pytest.approx(1 / (1 + torch.tensor(-2.0).exp().item()))
    assert cut_probabilities(logits_G2, 0.5, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(0.5)


def gate(dtype=torch.float32):
    torch.manual_seed(0)
    return Gate(32, 0.8, 1e-5).to(dtype)


def test_runs_in_float32_at_any_dtype():
    means_Td = torch.randn(50, 32).bfloat16().float()
    half = gate(torch.bfloat16)
    logits = half(means_Td)
    assert logits.dtype == torch.float32
    assert torch.equal(logits, gate(torch.bfloat16).float()(means_Td))


def test_runs_in_float32_under_autocast():
    means_Td = torch.randn(50, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = gate()(means_Td)
    assert logits.dtype == torch.float32
    assert torch.equal(logits, gate()(means_Td))


@pytest.mark.parametrize(("frames", "cuts"), [(1, 0), (2, 1), (12, 1), (36, 6), (37, 6), (420, 83)])
def test_equal_cubes_differ_by_a_frame_at_most(frames, cuts):
    starts_T = equal_starts(frames, cuts)
    edges = [*starts_T.nonzero().flatten().tolist(), frames]
    lengths = [after - before for before, after in pairwise(edges)]
    assert starts_T[0]
    assert len(lengths) == cuts + 1
    assert max(lengths) - min(lengths) <= 1


def test_plain_differences_find_a_change():
    scenes = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    frames_Td = scenes.repeat_interleave(torch.tensor([4, 1, 5]), dim=0)
    starts_T, _ = choose_starts(plain_differences(frames_Td), 2)
    assert starts_T.nonzero().flatten().tolist() == [0, 4, 5]
    assert plain_differences(frames_Td[:1]).shape == (0,)
