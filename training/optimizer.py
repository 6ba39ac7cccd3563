"""Optimizer that combines Muon for the matrices of hidden layers with AdamW for all other parameters.

Muon replaces a matrix's momentum by the nearest orthogonal matrix (Jordan et al. 2024); its steps are scaled to the
size of AdamW's, so that both use the same learning rates (Liu et al. 2025, `match_rms_adamw`).
"""

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import nn

from qsv_eval.model_adapters.errors import SetupError

__all__ = ["MuonWithAdamW", "check_muon", "is_hidden_matrix"]


def is_hidden_matrix(name: str, parameter: nn.Parameter) -> bool:
    """Whether Muon optimizes a parameter: any matrix but those of embeddings, head and gate.

    The gate's gradient is a weak signal in much noise, and Muon would amplify the noise.
    """
    return parameter.ndim == 2 and not any(part in name for part in ("embed", "lm_head", ".gate."))


def check_muon() -> None:
    """Raise SetupError if this torch has no Muon."""
    if not hasattr(torch.optim, "Muon"):
        raise SetupError(f"optimiser.kind muon: torch {torch.__version__} has no Muon; install torch 2.9 or later")


class MuonWithAdamW(torch.optim.Optimizer):
    """Optimizer that steps groups with `matrices` true by Muon and the others by AdamW.

    Groups and state belong to this optimizer, so that saving, loading and schedules handle one optimizer.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], betas: tuple[float, float], eps: float) -> None:
        check_muon()
        groups = list(groups)
        self._inner: dict[bool, torch.optim.Optimizer] = {}
        if matrices := [group for group in groups if group["matrices"]]:
            self._inner[True] = torch.optim.Muon(matrices, adjust_lr_fn="match_rms_adamw")
        if others := [group for group in groups if not group["matrices"]]:
            self._inner[False] = torch.optim.AdamW(others, betas=betas, eps=eps)
        super().__init__([group for inner in self._inner.values() for group in inner.param_groups], {})

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Step all parameter groups."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for matrices, inner in self._inner.items():
            inner.param_groups = [group for group in self.param_groups if group["matrices"] is matrices]
            inner.state = self.state
            inner.step()
        return loss
