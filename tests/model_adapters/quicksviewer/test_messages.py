"""The forms of messages and their parts."""

import base64

import numpy as np
import pytest

from qsv_eval.model_adapters.errors import InputError, SetupError
from qsv_eval.model_adapters.quicksviewer.messages import conversations_of, media_of, parts_of


def user(*parts):
    return {"role": "user", "content": list(parts)}


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ({"role": "user"}, r"a dictionary of \['role'\] is not of the form"),
        ({"content": "Hi"}, r"a dictionary of \['content'\] is not of the form"),
        ("Hi", "a str is not of the form"),
        ({"role": "robot", "content": "Hi"}, "role is 'robot'"),
        ({"role": "user", "content": None}, "the content is a NoneType"),
        ({"role": "user", "content": [{"type": "audio", "audio": "a.wav"}]}, "is 'audio'; only text, image and video"),
        ({"role": "user", "content": [{"text": "Hi"}]}, "is None; only text, image and video"),
        ({"role": "user", "content": ["Hi"]}, "the type of a str is None"),
        ({"role": "user", "content": [{"type": "image"}]}, 'has no "image"'),
        ({"role": "user", "content": [{"type": "text", "text": 3}]}, "the text is a int, not a string"),
        ({"role": "user", "content": [{"type": "image", "image": {"a": 1}}]}, "give a path, an array or a PIL image"),
        ({"role": "user", "content": [{"type": "image", "url": "a", "path": "b"}]}, "has both 'url' and 'path'"),
        ({"role": "user", "content": [{"type": "image", "base64": "§"}]}, "base64 is not the encoding of a file"),
        ({"role": "user", "content": [{"type": "video", "video": "a.mp4", "nframes": 8}]}, "the key 'nframes' of"),
        ({"role": "user", "content": [{"type": "video", "video": "a.mp4", "start_s": "1"}]}, "start_s is a str"),
    ],
)
def test_other_messages_are_refused(qwen, message, complaint):
    for refuse in (parts_of, lambda one: qwen.processor.encode([[one]]), lambda one: qwen.chat([one])):
        with pytest.raises(SetupError, match=complaint):
            refuse(message)


def test_content_stands_under_the_name_of_its_type():
    encoded = base64.b64encode(b"file").decode()
    images = [{"url": "a.png"}, {"path": "a.png"}, {"image": "a.png"}, {"base64": encoded}]
    message = user(*({"type": "image", **image} for image in images), {"type": "video", "url": "a.mp4", "end_s": 3})
    assert media_of([message], "image") == ["a.png", "a.png", "a.png", b"file"]
    assert parts_of(message)[-1] == {"type": "video", "video": "a.mp4", "end_s": 3}
    assert parts_of(user({"type": "image_url", "image_url": {"url": "a.png"}})) == parts_of(
        user({"type": "image", "image": "a.png"})
    )


def test_keys_without_a_value_count_as_absent():
    """Tables of chats have every key in every part."""
    part = {"type": "text", "text": "Hi", "image": None, "video": None, "index": None}
    assert parts_of(user(part)) == [{"type": "text", "text": "Hi"}]


def test_placeholders_come_without_content():
    assert parts_of(user({"type": "image"}), placeholders=True) == [{"type": "image"}]
    with pytest.raises(SetupError, match='has no "image"'):
        parts_of(user({"type": "image"}))


def test_one_conversation_or_several():
    message = {"role": "user", "content": "Hi"}
    assert conversations_of([message]) == ([[message]], True)
    assert conversations_of([[message], [message]]) == ([[message]] * 2, False)
    for other in ("Hi", [], [[]], message, ["Hi"], np.zeros(3)):
        with pytest.raises(InputError, match="is no list of messages"):
            conversations_of(other)
