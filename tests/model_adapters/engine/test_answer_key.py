import shutil
from dataclasses import fields, replace

import pytest
from PIL import Image

from qsv_eval.model_adapters.engine.answer_key import (
    AnswerSettings,
    answer_key,
    model_code_version,
)
from qsv_eval.model_adapters.engine.question import Generation, Question
from qsv_eval.model_adapters.errors import MediaError
from qsv_eval.model_adapters.frames import FrameRule

SETTINGS = AnswerSettings("weights", "code", "float32", FrameRule(), "pyav", "exact")


def question(media=None, **changes):
    parts = [{"type": "text", "text": "What?"}] if media is None else [media, {"type": "text", "text": "What?"}]
    base = Question("qsv_demo", 3, "test", 0, "q-3", [{"role": "user", "content": parts}], Generation())
    return replace(base, **changes)


def test_equal_questions_have_equal_keys():
    assert answer_key(SETTINGS, question()) == answer_key(SETTINGS, question())


OTHER_SETTINGS = {
    "checkpoint": "other",
    "model_code": "other",
    "dtype": "bfloat16",
    "frame_rule": FrameRule(max_frames=64),
    "reader": "decord",
    "resize": "fast",
}


@pytest.mark.parametrize("name", [field.name for field in fields(AnswerSettings)])
def test_every_setting_moves_the_key(name):
    changed = replace(SETTINGS, **{name: OTHER_SETTINGS[name]})
    assert answer_key(changed, question()) != answer_key(SETTINGS, question())


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "other"},
        {"doc_id": 4},
        {"split": "val"},
        {"repeat": 1},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}]},
        {"generation": Generation(max_new_tokens=5)},
        {"generation": Generation(until=("\n",))},
    ],
)
def test_what_is_asked_moves_the_key(changes):
    assert answer_key(SETTINGS, question(**changes)) != answer_key(SETTINGS, question())


def test_media_count_by_content_not_by_name(tmp_path):
    one, copy, other = tmp_path / "a.mp4", tmp_path / "b.mp4", tmp_path / "c.mp4"
    one.write_bytes(b"film")
    shutil.copy(one, copy)
    other.write_bytes(b"another film")
    keys = [answer_key(SETTINGS, question({"type": "video", "video": str(path)})) for path in (one, copy, other)]
    assert keys[0] == keys[1] != keys[2]
    bounded = question({"type": "video", "video": str(one), "start_s": 1.0})
    assert answer_key(SETTINGS, bounded) != keys[0]


def test_images_in_memory():
    red, blue = (Image.new("RGB", (4, 4), colour) for colour in ("red", "blue"))
    keys = [answer_key(SETTINGS, question({"type": "image", "image": image})) for image in (red, red.copy(), blue)]
    assert keys[0] == keys[1] != keys[2]


def test_missing_media(tmp_path):
    with pytest.raises(MediaError, match="missing"):
        answer_key(SETTINGS, question({"type": "video", "video": str(tmp_path / "gone.mp4")}))


def test_model_code_version_ignores_comments_and_docstrings(tmp_path):
    from qsv_eval.model_adapters.engine.answer_key import _code_of

    one, same, other = (tmp_path / name for name in ("one.py", "same.py", "other.py"))
    one.write_text('def f(x: int) -> int:\n    """Say."""\n    return x + 1\n')
    same.write_text('"""Module."""\n\ndef f(x: int) -> int:\n    """Other words."""\n    # why\n    return x+1\n')
    other.write_text("def f(x: int) -> int:\n    return x + 2\n")
    assert _code_of(one) == _code_of(same) != _code_of(other)
    assert len(model_code_version()) == 12
