import os
import shutil
from dataclasses import fields, replace

import pytest
from PIL import Image

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.engine.cache_key import AnswerSettings, answer_key, checkpoint_fingerprint
from qsv_eval.model_adapters.engine.request import GenerationSettings, ImageInMemory, Request, RequestKind
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.frames import FrameRule

SETTINGS = AnswerSettings("weights", "code", "float32", FrameRule(), CubeRule(), "pyav", "exact")


def make_request(media=None, **changes):
    parts = [{"type": "text", "text": "What?"}] if media is None else [media, {"type": "text", "text": "What?"}]
    base = Request(
        "qsv_demo", 3, "test", 0, "q-3", [{"role": "user", "content": parts}], GenerationSettings(), FrameRule()
    )
    return replace(base, **changes)


def key_of(request, settings=SETTINGS, **content_ids):
    return answer_key(settings, request, content_ids)


def test_equal_requests_have_equal_keys():
    assert key_of(make_request()) == key_of(make_request())


OTHER_SETTINGS = {
    "checkpoint": "other",
    "model_code": "other",
    "dtype": "bfloat16",
    "reader": "decord",
    "resize": "fast",
}


@pytest.mark.parametrize("name", sorted({field.name for field in fields(AnswerSettings)} - {"frame_rule", "cube_rule"}))
def test_every_setting_changes_the_key(name):
    changed = replace(SETTINGS, **{name: OTHER_SETTINGS[name]})
    assert key_of(make_request(), changed) != key_of(make_request())


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "other"},
        {"doc_id": 4},
        {"split": "val"},
        {"repeat": 1},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}]},
        {"generation": GenerationSettings(max_new_tokens=5)},
        {"generation": GenerationSettings(until=("\n",))},
        {"rule": FrameRule(max_frames=64)},
        {"cube_rule": CubeRule(frames_per_cube=2)},
        {"kind": RequestKind.SCORE},
        {"continuation": "A"},
    ],
)
def test_every_part_of_the_request_changes_the_key(changes):
    assert key_of(make_request(**changes)) != key_of(make_request())


def test_the_rules_of_the_request_count():
    """A task may override the model's rules; the key does not depend on where a rule comes from."""
    other = replace(SETTINGS, frame_rule=FrameRule(max_frames=64), cube_rule=CubeRule(max_cubes=3))
    assert key_of(make_request(), other) == key_of(make_request())


def test_the_name_of_a_variant_makes_no_difference():
    variants = ["qsv_demo", "qsv_demo@max_frames=420", "qsv_demo@max_frames=420,fps=1.0"]
    assert len({key_of(make_request(task=variant)) for variant in variants}) == 1
    assert key_of(make_request(task="qsv_demo@max_frames=8", rule=FrameRule(max_frames=8))) != key_of(make_request())


def test_media_count_by_content_not_by_name():
    video = {"type": "video", "video": "a.mp4"}
    moved = {"type": "video", "video": "b.mp4"}
    keys = [
        answer_key(SETTINGS, make_request(part), {part["video"]: content})
        for part, content in ((video, "film"), (moved, "film"), (video, "another film"))
    ]
    assert keys[0] == keys[1] != keys[2]
    assert answer_key(SETTINGS, make_request(video | {"start_s": 1.0}), {"a.mp4": "film"}) != keys[0]


def test_images_in_memory():
    images = [ImageInMemory.of(Image.new("RGB", (4, 4), colour)) for colour in ("red", "red", "blue")]
    keys = [key_of(make_request({"type": "image", "image": image})) for image in images]
    assert keys[0] == keys[1] != keys[2]


def test_fingerprint_follows_the_files_not_the_place(tiny, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(tiny, copy)
    assert checkpoint_fingerprint(str(copy)) == checkpoint_fingerprint(str(tiny))
    (copy / "results.json").write_text("{}")
    assert checkpoint_fingerprint(str(copy)) == checkpoint_fingerprint(str(tiny))
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert checkpoint_fingerprint(str(copy)) != checkpoint_fingerprint(str(tiny))


def test_fingerprint_of_an_adapter_includes_its_base(tiny, tmp_path):
    bases = [tmp_path / "one", tmp_path / "two"]
    for base in bases:
        shutil.copytree(tiny, base)
    (bases[1] / "tokenizer_config.json").write_text("{}")
    prints = []
    for base in bases:
        adapter = tmp_path / "adapter"
        adapter.mkdir(exist_ok=True)
        (adapter / "adapter_config.json").write_text(f'{{"base_model_name_or_path": "{base}"}}')
        prints.append(checkpoint_fingerprint(str(adapter)))
    assert prints[0] != prints[1]


def test_fingerprint_of_no_checkpoint():
    with pytest.raises((SetupError, OSError)):
        checkpoint_fingerprint("nobody/nothing")


def test_a_change_anywhere_in_a_large_file_counts_and_each_state_is_hashed_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    weights = folder / "model.safetensors"
    content = bytearray(70 << 20)
    weights.write_bytes(content)
    first = checkpoint_fingerprint(str(folder))
    assert checkpoint_fingerprint(str(folder)) == first
    assert capsys.readouterr().err.count("Hashing model.safetensors") == 1
    content[20 << 20] = 1  # neither at the ends nor in the middle
    weights.write_bytes(content)
    os.utime(weights, ns=(1, 1))
    assert checkpoint_fingerprint(str(folder)) != first
    (folder / "tokenizers").mkdir()
    checkpoint_fingerprint(str(folder))
