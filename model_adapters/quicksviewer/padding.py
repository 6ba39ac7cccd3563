"""Rows of tokens of unequal length, cut and padded to a batch as the options of a tokenizer call say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase
from transformers.tokenization_utils_base import LARGE_INTEGER

from qsv_eval.model_adapters.errors import InputError
from qsv_eval.model_adapters.quicksviewer.merge_inputs import VisualKind
from qsv_eval.model_adapters.quicksviewer.prompt_tokens import VISION_TOKENS, PromptTokens

__all__ = ["Row", "RowOptions", "batch_rows", "pad_rows"]

Row = dict[str, list[int]]
"""Parallel lists: `input_ids` and, for each token, what else is known of it."""

_FILL = {"attention_mask": 0, "visual_kind": 0, "frame_ids": -1, "assistant_masks": 0, "mm_token_type_ids": 0}
"""Values at padding; `input_ids` have the pad token."""
_PADDINGS = {True: "longest", "longest": "longest", "max_length": "max_length"}
_TRUNCATIONS = (True, "longest_first", "only_first")


@dataclass(frozen=True)
class RowOptions:
    """Length and padding of rows."""

    padding: str | None = "longest"
    """`longest`, `max_length`, or None for rows of unequal length."""
    truncation: bool = False
    max_length: int | None = None
    """Tokens of a row at most; longer rows are cut with `truncation` and refused without."""
    pad_to_multiple_of: int | None = None
    pad_left: bool = False
    cut_left: bool = False
    markup_ids: frozenset[int] = frozenset()
    """Ids of the tokens around media, which are never cut off."""

    @classmethod
    def of_options(cls, options: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> "RowOptions":
        """Read the options of a tokenizer call, with the tokenizer's sides as defaults."""
        padding, truncation = (
            getattr(options.get(name), "value", options.get(name)) for name in ("padding", "truncation")
        )
        cut, pad = truncation in _TRUNCATIONS, _PADDINGS.get(padding)
        if not cut and truncation not in (None, False, "do_not_truncate"):
            raise InputError(f"truncation {truncation!r} is not possible for single texts: use True or False")
        if pad is None and padding not in (None, False, "do_not_pad"):
            raise InputError(f"padding {padding!r} is unknown: use True, 'longest', 'max_length' or False")
        max_length = options.get("max_length")
        if max_length is None and (cut or pad == "max_length"):
            max_length = tokenizer.model_max_length
            if max_length >= LARGE_INTEGER:
                raise InputError("max_length is missing: truncation and padding='max_length' need it")
        side = options.get("padding_side") or tokenizer.padding_side
        multiple = options.get("pad_to_multiple_of")
        ids: Any = tokenizer.convert_tokens_to_ids(list(VISION_TOKENS))
        markup = frozenset(ids)
        return cls(pad, cut, max_length, multiple, side == "left", tokenizer.truncation_side == "left", markup)


def batch_rows(rows: Sequence[Row], options: RowOptions, pad_id: int) -> dict[str, list[list[int]]]:
    """Return the columns of all rows, cut and padded."""
    cut = [_cut(number, row, options) for number, row in enumerate(rows)]
    length = max(len(row["input_ids"]) for row in cut)
    if options.padding == "max_length" and options.max_length is not None:
        length = options.max_length
    if options.pad_to_multiple_of:
        length = -(-length // options.pad_to_multiple_of) * options.pad_to_multiple_of
    return {name: [_padded(row[name], length, _FILL.get(name, pad_id), options) for row in cut] for name in cut[0]}


def _cut(number: int, row: Row, options: RowOptions) -> Row:
    length, limit = len(row["input_ids"]), options.max_length
    if limit is None or length <= limit:
        return row
    if not options.truncation:
        raise InputError(f"text {number} has {length} tokens, more than max_length {limit}: use truncation=True")
    kept = slice(length - limit, None) if options.cut_left else slice(limit)
    lost = slice(length - limit) if options.cut_left else slice(limit, None)
    if any(kind != VisualKind.TEXT for kind in row["visual_kind"][lost]) or options.markup_ids & {
        *row["input_ids"][lost]
    }:
        raise InputError(
            f"text {number} has {length} tokens, and cutting it to max_length {limit} would cut images or videos: use "
            "a larger max_length, or fewer frames"
        )
    return {name: column[kept] for name, column in row.items()}


def _padded(column: list[int], length: int, fill: int, options: RowOptions) -> list[int]:
    if options.padding is None:
        return column
    padding = [fill] * (length - len(column))
    return [*padding, *column] if options.pad_left else [*column, *padding]


def pad_rows(rows: Sequence[PromptTokens], pad_id: int) -> dict[str, torch.Tensor]:
    """Pad rows at the right; the mask, never the pad token, says where a row ends."""
    columns = batch_rows(
        [{**row._asdict(), "attention_mask": [1] * len(row.input_ids)} for row in rows], RowOptions(), pad_id
    )
    return {name: torch.tensor(columns[name]) for name in ("input_ids", "attention_mask", "visual_kind", "frame_ids")}
