from dataclasses import fields, replace

import pytest
from PIL import Image

from qsv_eval.model_adapters.cuberule import CubeRule
from qsv_eval.model_adapters.engine.answer_key import AnswerSettings, answer_key
from qsv_eval.model_adapters.engine.question import Generation, ImageInMemory, Kind, Question
from qsv_eval.model_adapters.frames import FrameRule

SETTINGS = AnswerSettings("weights", "code", "float32", FrameRule(), CubeRule(), "pyav", "exact")


def question(media=None, **changes):
    parts = [{"type": "text", "text": "What?"}] if media is None else [media, {"type": "text", "text": "What?"}]
    base = Question("qsv_demo", 3, "test", 0, "q-3", [{"role": "user", "content": parts}], Generation(), FrameRule())
    return replace(base, **changes)


def key_of(question, settings=SETTINGS, **identities):
    return answer_key(settings, question, identities)


def test_equal_questions_have_equal_keys():
    assert key_of(question()) == key_of(question())


OTHER_SETTINGS = {
    "checkpoint": "other",
    "model_code": "other",
    "dtype": "bfloat16",
    "reader": "decord",
    "resize": "fast",
}


@pytest.mark.parametrize("name", sorted({field.name for field in fields(AnswerSettings)} - {"frame_rule", "cube_rule"}))
def test_every_setting_moves_the_key(name):
    changed = replace(SETTINGS, **{name: OTHER_SETTINGS[name]})
    assert key_of(question(), changed) != key_of(question())


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
        {"rule": FrameRule(max_frames=64)},
        {"cube_rule": CubeRule(frames_per_cube=2)},
        {"kind": Kind.SCORE},
        {"continuation": "A"},
    ],
)
def test_what_is_asked_moves_the_key(changes):
    assert key_of(question(**changes)) != key_of(question())


def test_the_rule_is_the_questions_own():
    """A task may have another rule than the model; whose it is makes no difference."""
    other = replace(SETTINGS, frame_rule=FrameRule(max_frames=64), cube_rule=CubeRule(max_cubes=3))
    assert key_of(question(), other) == key_of(question())


def test_how_a_sweep_names_its_cell_makes_no_difference():
    cells = ["qsv_demo", "qsv_demo@max_frames=420", "qsv_demo@max_frames=420,fps=1.0"]
    assert len({key_of(question(task=cell)) for cell in cells}) == 1
    assert key_of(question(task="qsv_demo@max_frames=8", rule=FrameRule(max_frames=8))) != key_of(question())


def test_media_count_by_content_not_by_name():
    video = {"type": "video", "video": "a.mp4"}
    moved = {"type": "video", "video": "b.mp4"}
    keys = [
        answer_key(SETTINGS, question(part), {part["video"]: content})
        for part, content in ((video, "film"), (moved, "film"), (video, "another film"))
    ]
    assert keys[0] == keys[1] != keys[2]
    assert answer_key(SETTINGS, question(video | {"start_s": 1.0}), {"a.mp4": "film"}) != keys[0]


def test_images_in_memory():
    images = [ImageInMemory.of(Image.new("RGB", (4, 4), colour)) for colour in ("red", "red", "blue")]
    keys = [key_of(question({"type": "image", "image": image})) for image in images]
    assert keys[0] == keys[1] != keys[2]
