"""Rows of tokens to batches."""

import pytest
from transformers import PreTrainedTokenizerFast

from qsv_eval.model_adapters.errors import InputError
from qsv_eval.model_adapters.quicksviewer.padding import RowOptions, batch_rows


def row(length, visual=()):
    kinds = [1 if place in visual else 0 for place in range(length)]
    return {"input_ids": list(range(1, length + 1)), "attention_mask": [1] * length, "visual_kind": kinds}


def batch(lengths, visual=(), **options):
    return batch_rows([row(length, visual) for length in lengths], RowOptions(**options), 0)


def test_padding():
    assert batch([1, 3])["input_ids"] == [[1, 0, 0], [1, 2, 3]]
    assert batch([1, 3], pad_left=True)["attention_mask"] == [[0, 0, 1], [1, 1, 1]]
    assert batch([1, 3], padding=None)["input_ids"] == [[1], [1, 2, 3]]
    assert batch([1, 3], pad_to_multiple_of=4)["input_ids"] == [[1, 0, 0, 0], [1, 2, 3, 0]]
    assert batch([1], padding="max_length", max_length=3)["input_ids"] == [[1, 0, 0]]


def test_cutting():
    assert batch([4], truncation=True, max_length=2)["input_ids"] == [[1, 2]]
    assert batch([4], truncation=True, max_length=2, cut_left=True)["input_ids"] == [[3, 4]]
    assert batch([4], (0, 1), truncation=True, max_length=2)["visual_kind"] == [[1, 1]]
    with pytest.raises(InputError, match="text 1 has 4 tokens, more than max_length 3"):
        batch([3, 4], max_length=3)
    with pytest.raises(InputError, match="cutting it to max_length 2 would cut images or videos"):
        batch([4], (2,), truncation=True, max_length=2)
    with pytest.raises(InputError, match="would cut images or videos"):
        batch([4], (0,), truncation=True, max_length=2, cut_left=True)


@pytest.fixture
def tokenizer(qwen):
    return qwen.processor.tokenizer


def test_options(tokenizer: PreTrainedTokenizerFast):
    plain = RowOptions.of_options({"padding": "do_not_pad"}, tokenizer)
    assert (plain.padding, plain.pad_left, len(plain.markup_ids)) == (None, False, 8)
    left = RowOptions.of_options({"padding": True, "padding_side": "left"}, tokenizer)
    assert (left.padding, left.pad_left) == ("longest", True)
    cut = RowOptions.of_options({"truncation": "only_first", "max_length": 5}, tokenizer)
    assert (cut.truncation, cut.max_length, cut.padding) == (True, 5, None)
    with pytest.raises(InputError, match="truncation 'only_second' is not possible"):
        RowOptions.of_options({"truncation": "only_second"}, tokenizer)
    with pytest.raises(InputError, match="padding 'sideways' is unknown"):
        RowOptions.of_options({"padding": "sideways"}, tokenizer)
