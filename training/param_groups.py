"""The parts of the model: which parameters belong to which, and which of them a recipe trains."""

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
    # Loaded with the tower and never run: the features are those before its last norm.
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
    """Return the part that a parameter belongs to; None for what is never used."""
    for prefix, part in _PREFIXES.items():
        if name == prefix or name.startswith(prefix + "."):
            return part
    raise KeyError(f"{name} belongs to no part of the model")


class LearnedRows(nn.Module):
    """An embedding of which only some rows learn. In state dicts it is the plain embedding."""

    def __init__(self, embedding: nn.Embedding, row_ids: Sequence[int]) -> None:
        super().__init__()
        ids = torch.tensor(sorted(row_ids))
        self.weight = embedding.weight.requires_grad_(False)
        self.rows = nn.Parameter(embedding.weight.detach()[ids].clone())
        self.weight.data[ids] = 0  # never read; what was learned there need not fit into the type of the others
        self.register_buffer("row_ids", ids, persistent=False)
        self.register_state_dict_post_hook(_put_rows)
        self.register_load_state_dict_pre_hook(_take_rows)

    row_ids: Tensor

    @property
    def num_embeddings(self) -> int:
        """Rows of the whole table."""
        return len(self.weight)

    def forward(self, ids: Tensor) -> Tensor:
        """Embed token ids of any shape."""
        slots = torch.searchsorted(self.row_ids, ids).clamp(max=len(self.row_ids) - 1)
        learns = (self.row_ids[slots] == ids).unsqueeze(-1)
        return torch.where(learns, F.embedding(slots, self.rows).to(self.weight.dtype), F.embedding(ids, self.weight))


def _put_rows(module: Any, state: dict[str, Tensor], prefix: str, _: Any) -> None:
    rows = state.pop(prefix + "rows")
    whole = state[prefix + "weight"].to(rows.dtype, copy=True)  # wide enough for what was learned
    whole[module.row_ids] = rows
    state[prefix + "weight"] = whole


def _take_rows(module: Any, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    if prefix + "weight" in state:
        state[prefix + "rows"] = state[prefix + "weight"][module.row_ids].clone()


def set_trainable(model: QuicksviewerForConditionalGeneration, rates: Rates, new_token_ids: Sequence[int]) -> None:
    """Freeze everything but what has a rate.

    Raises:
        SetupError: nothing has one, or only rows of the embedding should learn and the head shares them.
    """
    if not any(rates.of(part) for part in PARTS):
        raise SetupError("rates: no part of the model has a learning rate, so there is nothing to train")
    rows_alone = rates.new_tokens is not None and rates.language_model is None
    if rows_alone and model.config.tie_word_embeddings:
        raise SetupError("rates.new_tokens: this model's head shares the embedding's rows; train language_model too")
    if rows_alone and not isinstance(model.get_input_embeddings(), LearnedRows):
        embedding = model.get_input_embeddings()
        assert isinstance(embedding, nn.Embedding)
        model.set_input_embeddings(LearnedRows(embedding, new_token_ids))
    for name, parameter in model.named_parameters():
        part = group_of(name)
        parameter.requires_grad = part is not None and rates.of(part) is not None


class ParamGroupSize(NamedTuple):
    """How large a part is."""

    part: str
    parameters: int
    trainable: int


def group_sizes(model: nn.Module) -> Iterator[ParamGroupSize]:
    """Yield the sizes of all parts, and of what is loaded but never used."""
    counts: dict[str, list[int]] = {part: [0, 0] for part in (*PARTS, "unused")}
    for name, parameter in model.named_parameters():
        count = counts[group_of(name) or "unused"]
        count[0] += parameter.numel()
        count[1] += parameter.numel() * parameter.requires_grad
    for part, (parameters, trainable) in counts.items():
        if parameters:
            yield ParamGroupSize(part, parameters, trainable)
