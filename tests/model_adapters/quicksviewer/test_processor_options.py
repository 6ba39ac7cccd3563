"""Options of a processor call."""

import pytest

from qsv_eval.model_adapters.errors import InputError
from qsv_eval.model_adapters.quicksviewer.processor_options import call_options


def options(**given):
    return call_options(given, {}, "Processor")


def test_options_go_where_they_belong():
    found = options(padding=False, tile_size=96, text_kwargs={"max_length": 9}, videos_kwargs={"fps": 2})
    assert found == ({"padding": False, "max_length": 9}, {"tile_size": 96}, {"fps": 2})
    everywhere = options(return_tensors="np")
    assert [group["return_tensors"] for group in everywhere] == ["np"] * 3
    assert options(common_kwargs={"return_tensors": "pt"}) == options(return_tensors="pt")


def test_the_tokenizer_gives_defaults():
    saved = {"padding": "max_length", "max_length": 7, "model_max_length": 99}
    assert call_options({}, saved, "Processor").text == {"padding": "max_length", "max_length": 7}
    assert call_options({"padding": True}, saved, "Processor").text == {"padding": True}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"no_such_option": 1}, "Processor: the option 'no_such_option' is unknown; known are add_special_tokens"),
        ({"text_kwargs": {"no_such_option": 1}}, "text_kwargs: the option 'no_such_option' is unknown"),
        ({"common_kwargs": {"no_such_option": 1}}, "'no_such_option' is unknown"),
        ({"images_kwargs": {"fps": 1}}, "images_kwargs: the option 'fps' is unknown"),
        ({"do_rescale": False}, "'do_rescale' is not offered: pixels stay uint8"),
        ({"size": {"height": 9}}, "'size' is not offered: pictures are cut as"),
        ({"audio": [1]}, "'audio' is not offered: the model takes no audio"),
        ({"return_offsets_mapping": True}, "'return_offsets_mapping' is not offered: .* return_assistant_tokens_mask"),
        ({"padding": True, "text_kwargs": {"padding": False}}, "'padding' was given twice"),
    ],
)
def test_other_options_are_refused(given, complaint):
    with pytest.raises(InputError, match=complaint):
        options(**given)


def test_options_that_ask_for_nothing_are_allowed():
    assert options(size=None, return_token_type_ids=False, stride=0).text == {"padding": True}
