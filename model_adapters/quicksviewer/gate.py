"""The gate of the cubing network, which says where in a video a new cube starts (docs/reference.md, section 4).

Shape legend: T frames, G = T - 1 gaps between neighbouring frames, d vision width.
The gate looks at one vector per frame: the reference applies its first Linear to every token and then averages, and
both commute; its running difference is linear, so averaging first is exact. It runs in float32 at any model dtype: in
bfloat16 the probabilities above 0.998 tie and the chosen cuts become arbitrary.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qsv_eval.model_adapters.quicksviewer.device import full_precision
from qsv_eval.model_adapters.quicksviewer.weights import affine, parameter

__all__ = [
    "FirstLinear",
    "Gate",
    "choose_starts",
    "cut_probabilities",
    "equal_starts",
    "gumbel_noise",
    "plain_differences",
    "running_difference",
]


class FirstLinear(nn.Linear):
    """The gate's first layer, known by its type because `gate_init` decides how it begins."""


class Gate(nn.Module):
    """Scores every gap between two frames: logits (stay, cut)."""

    def __init__(self, width: int, momentum: float, norm_eps: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.aggregate = FirstLinear(width, width)
        self.norm = nn.LayerNorm(width, eps=norm_eps)
        self.hidden = nn.Linear(width, width)
        self.logits = nn.Linear(width, 2)

    def forward(self, means_Td: Tensor) -> Tensor:
        """Return float32 logits (G, 2) from each frame's mean feature (T, d), float32."""
        with full_precision(means_Td.device):
            gaps_Gd = _linear(running_difference(means_Td.float(), self.momentum), self.aggregate)
            weight, bias = parameter(self.norm, "weight").float(), parameter(self.norm, "bias").float()
            gaps_Gd = F.layer_norm(gaps_Gd, self.norm.normalized_shape, weight, bias, self.norm.eps)
            return _linear(F.gelu(_linear(gaps_Gd, self.hidden)), self.logits)


def _linear(x: Tensor, layer: nn.Linear) -> Tensor:
    return F.linear(x, *affine(layer))


def running_difference(frames_Td: Tensor, momentum: float) -> Tensor:
    """Return m (G, d): m_1 = v_1 - v_0 and m_i = momentum * (v_i - v_{i-1}) + (1 - momentum) * m_{i-1}.

    The recurrence is a causal convolution with a decaying kernel, cut off where its terms vanish in float32.
    """
    steps_Gd = frames_Td.diff(dim=0)
    decay = 1.0 - momentum
    if decay == 0 or len(steps_Gd) < 2:
        return steps_Gd
    reach = min(len(steps_Gd), math.ceil(math.log(torch.finfo(torch.float32).tiny) / math.log(decay)))
    kernel = momentum * decay ** torch.arange(reach - 1, -1, -1, device=frames_Td.device, dtype=frames_Td.dtype)
    # The first difference enters with weight 1, not `momentum`.
    steps_Gd = torch.cat([steps_Gd[:1] / momentum, steps_Gd[1:]])
    padded_d1G = F.pad(steps_Gd.T.unsqueeze(1), (reach - 1, 0))
    return F.conv1d(padded_d1G, kernel.view(1, 1, -1)).squeeze(1).T


def gumbel_noise(uniform: Tensor) -> Tensor:
    """Return standard Gumbel noise from uniform samples of the same shape, in float32."""
    return -torch.log(-torch.log(uniform.float() + 1e-20) + 1e-20)


def cut_probabilities(logits_G2: Tensor, temperature: float, noise_G2: Tensor | None = None) -> Tensor:
    """Return each gap's probability of a cut (G,), float32, in [0, 1]; the noise is already scaled."""
    noisy_G2 = logits_G2 if noise_G2 is None else logits_G2 + noise_G2
    return (noisy_G2 / temperature).softmax(-1)[:, 1]


def choose_starts(probs_G: Tensor, cuts: int) -> tuple[Tensor, Tensor]:
    """Take the `cuts` most probable gaps; a chosen gap i starts a cube at frame i + 1, and frame 0 always does.

    Returns:
        starts (T,) bool, and the straight-through mask h (T,) float32: 1 at starts and 0 elsewhere, with the gradient
        of the probabilities.
    """
    hard_G = torch.zeros_like(probs_G).scatter(0, probs_G.topk(cuts).indices, 1.0)
    mask_G = (hard_G - probs_G).detach() + probs_G
    first = probs_G.new_ones(1)
    return torch.cat([first, hard_G]).bool(), torch.cat([first, mask_G])


def equal_starts(frames: int, cuts: int) -> Tensor:
    """Return starts (T,) bool of cubes whose lengths differ by one frame at most: the fixed baseline of the paper."""
    edges_C = torch.arange(cuts + 1) * frames // (cuts + 1)
    return torch.zeros(frames, dtype=torch.bool).index_fill(0, edges_C, True)


def plain_differences(means_Td: Tensor) -> Tensor:
    """Return how much each frame's mean feature (T, d) differs from the one before, as cosine distances (G,)."""
    return 1 - F.cosine_similarity(means_Td[1:].float(), means_Td[:-1].float(), dim=-1)
