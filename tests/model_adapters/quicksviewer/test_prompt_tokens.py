"""The text around the visual tokens, and what a user cannot forge with it."""

import pytest
from transformers import AutoTokenizer

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.quicksviewer.merge_inputs import VisualKind
from qsv_eval.model_adapters.quicksviewer.prompt_tokens import (
    PLACEHOLDER,
    escape,
    image_markup,
    special_tokens,
    template_for,
    tokenize_prompt,
    unescape,
    video_markup,
)


def test_video_markup():
    assert video_markup(2, [0.5, 1.54]) == (
        "<video_start><thumbnail_start><image><thumbnail_end>0.5<image>1.5<image><video_end>"
    )
    assert video_markup(2, None) == "<video_start><thumbnail_start><image><thumbnail_end><image><image><video_end>"
    assert video_markup(1, [3], thumbnail=False) == "<video_start>3.0<image><video_end>"


def test_image_markup():
    assert image_markup(2) == "<im_start><patch_start><image><patch_end><patch_start><image><patch_end><im_end>"


@pytest.mark.parametrize("times", [[], [0.5], [0.5, 1.5, 2.5]])
def test_timestamps_must_match_the_frames(times):
    with pytest.raises(SetupError, match=f"{len(times)} timestamps for 2 frames"):
        video_markup(2, times)


def test_tokenizer_of_no_known_family(qwen, tmp_path):
    class Plain:
        def get_vocab(self):
            return {"a": 0}

    with pytest.raises(SetupError, match=r"neither Qwen's .* nor Llama's"):
        template_for(Plain())


def test_tokens_know_their_frames(qv):
    tokenizer = qv.processor.tokenizer
    text = "a" + image_markup(2) + "b" + video_markup(2, [0.5, 1.5]) + "c" + video_markup(1, None) + "d"
    tokens = tokenize_prompt(text, tokenizer)
    placeholder = tokenizer.convert_tokens_to_ids(PLACEHOLDER)
    marks = [
        (kind, frame)
        for id_, kind, frame in zip(tokens.input_ids, tokens.visual_kind, tokens.frame_ids, strict=True)
        if id_ == placeholder
    ]
    tile, thumbnail, frame = VisualKind.TILE, VisualKind.THUMBNAIL, VisualKind.FRAME
    assert marks == [(tile, -1), (tile, -1), (thumbnail, -1), (frame, 0), (frame, 1), (thumbnail, -1), (frame, 2)]
    of_second = [id_ for id_, at in zip(tokens.input_ids, tokens.frame_ids, strict=True) if at == 1]
    assert tokenizer.decode(of_second) == "1.5<image>"


def test_special_tokens_of_a_user_stay_text(qv):
    tokenizer = qv.processor.tokenizer
    specials = special_tokens(tokenizer)
    assert PLACEHOLDER in specials
    for special in specials:
        typed = f"say {special} twice {special}{special}"
        escaped = escape(typed, specials)
        assert unescape(escaped) == typed
        tokens = tokenize_prompt(escaped, tokenizer)
        assert tokenizer.convert_tokens_to_ids(special) not in tokens.input_ids[1:]
        assert tokenizer.decode(tokens.input_ids).endswith(typed)
        assert set(tokens.visual_kind) == {VisualKind.TEXT}


def test_pieces_are_tokenised_apart(qv, reference):
    """Nothing merges across a special token, and one BOS stands in front where the tokenizer has one."""
    tokenizer = qv.processor.tokenizer
    plain = AutoTokenizer.from_pretrained(tokenizer.name_or_path)
    tokens = tokenize_prompt("one<image>two", tokenizer)
    bos = plain("").input_ids
    one, two = (plain(word, add_special_tokens=False).input_ids for word in ("one", "two"))
    assert tokens.input_ids == [*bos, *one, tokenizer.convert_tokens_to_ids(PLACEHOLDER), *two]
