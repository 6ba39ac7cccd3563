"""Parts of the model with a learning rate each: assignment of parameters, freezing, and sizes."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.quicksviewer.modeling import QuicksviewerForConditionalGeneration
from qsv_eval.training.recipe import PARTS, Part, Rates

__all__ = ["LearnedRows", "ParamGroupSize", "group_of", "group_sizes", "set_trainable"]

_PREFIXES: dict[str, Part | None] = {
    # Loaded but unused: features are taken before the tower's last norm.
    "model.perception.vision_tower.post_layernorm": None,
    "model.perception.vision_tower.head": None,
    "model.perception.vision_tower": "vision_tower",
    "model.perception.gate": "cubing",
    "model.perception.thumbnail": "cubing",
    "model.perception.resampler": "resampler",
    "model.language_model.embed_tokens.rows": "new_tokens",
    "model.language_model": "language_model",
    "lm_head": "language_model",
}


def group_of(name: str) -> Part | None:
    """Return the part that a parameter belongs to; None for unused parameters."""
    for prefix, part in _PREFIXES.items():
        if name == prefix or name.startswith(prefix + "."):
            return part
    raise KeyError(f"{name} belongs to no part of the model")


class LearnedRows(nn.Module):
    """An embedding of which only some rows are trained; its state dict is that of the plain embedding."""

    def __init__(self, embedding: nn.Embedding, row_ids: Sequence[int]) -> None:
        super().__init__()
        ids = torch.tensor(sorted(row_ids))
        self.weight = embedding.weight.requires_grad_(False)
        self.rows = nn.Parameter(embedding.weight.detach()[ids].clone())
        self.weight.data[ids] = 0  # never read; the trained rows may have a wider dtype
        self.register_buffer("row_ids", ids, persistent=False)
        self.register_state_dict_post_hook(_put_rows)
        self.register_load_state_dict_pre_hook(_take_rows)

    row_ids: Tensor

    @property
    def num_embeddings(self) -> int:
        """Number of rows of the whole table."""
        return len(self.weight)

    def forward(self, ids: Tensor) -> Tensor:
        """Embed token ids of any shape."""
        slots = torch.searchsorted(self.row_ids, ids).clamp(max=len(self.row_ids) - 1)
        is_trained = (self.row_ids[slots] == ids).unsqueeze(-1)
        return torch.where(
            is_trained, F.embedding(slots, self.rows).to(self.weight.dtype), F.embedding(ids, self.weight)
        )


def _put_rows(module: Any, state: dict[str, Tensor], prefix: str, _: Any) -> None:
    rows = state.pop(prefix + "rows")
    whole = state[prefix + "weight"].to(rows.dtype, copy=True)  # in the wider dtype of the trained rows
    whole[module.row_ids] = rows
    state[prefix + "weight"] = whole


def _take_rows(module: Any, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    if prefix + "weight" in state:
        state[prefix + "rows"] = state[prefix + "weight"][module.row_ids].clone()


def set_trainable(model: QuicksviewerForConditionalGeneration, rates: Rates, new_token_ids: Sequence[int]) -> None:
    """Freeze all parameters of parts without a learning rate.

    Raises:
        SetupError: no part has a learning rate, or only new rows are trained in a model with tied embeddings.
    """
    if not any(rates.of(part) for part in PARTS):
        raise SetupError("rates: no part of the model has a learning rate; set one, as in rates.cubing=1e-4")
    only_rows = rates.new_tokens is not None and rates.language_model is None
    if only_rows and model.config.tie_word_embeddings:
        raise SetupError(
            "rates.new_tokens: embedding and head of this model are tied, so new rows cannot be trained alone; set "
            "rates.language_model too"
        )
    if only_rows and not isinstance(model.get_input_embeddings(), LearnedRows):
        embedding = model.get_input_embeddings()
        assert isinstance(embedding, nn.Embedding)
        model.set_input_embeddings(LearnedRows(embedding, new_token_ids))
    for name, parameter in model.named_parameters():
        part = group_of(name)
        parameter.requires_grad = part is not None and rates.of(part) is not None


class ParamGroupSize(NamedTuple):
    """Number of parameters of a part, and of those that are trained."""

    part: str
    parameters: int
    trainable: int


def group_sizes(model: nn.Module) -> Iterator[ParamGroupSize]:
    """Yield the sizes of all parts, and of the unused parameters."""
    counts: dict[str, list[int]] = {part: [0, 0] for part in (*PARTS, "unused")}
    for name, parameter in model.named_parameters():
        count = counts[group_of(name) or "unused"]
        count[0] += parameter.numel()
        count[1] += parameter.numel() * parameter.requires_grad
    for part, (parameters, trainable) in counts.items():
        if parameters:
            yield ParamGroupSize(part, parameters, trainable)
