"""What quicksviewer-tiny learns from: right answers, no word unknown, no clip of the benchmark."""

import json
from functools import partial

import numpy as np
import pytest
import torch

from qsv_eval.demo import make_clip
from qsv_eval.demo.grammar import KINDS, question_drafts, vocabulary
from qsv_eval.demo.scene import DIRECTIONS, SHAPES
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.scoring.extract import extract_letter
from qsv_eval.tiny import clip_data
from qsv_eval.tiny.clip_data import (
    brief_sample,
    clip_sample,
    glimpse_sample,
    letter_sample,
    motion_sample,
    pack,
    text_sample,
    view_sample,
)
from qsv_eval.tiny.text_data import (
    binding_sample,
    choice,
    clip_turns,
    frame_line,
    list_turns,
    reasoned,
    scene_list,
    scene_words,
    told,
)
from qsv_eval.training.data.shards import Shard


def turns(sample):
    values = [one["value"].strip() for one in sample["conversations"]]
    return list(zip(values[::2], values[1::2], strict=True))


def right_word(question, letter):
    return next(line[3:] for line in question.splitlines() if line.startswith(f"{letter}. "))


def answer_word(question, answer):
    """The word that is answered, after what was told first; it has to stand under the letter beside it."""
    answer = answer.split(" : ")[-1]
    if "Answer:" not in question:
        return answer
    word, letter = answer.removesuffix(")").split(" (")
    assert right_word(question, letter) == word
    return word


def test_binding_says_the_word_and_its_letter():
    for question, answer in turns(binding_sample(np.random.default_rng(0), 20)):
        assert question.startswith(f"Which is {answer_word(question, answer)} ?")
        assert extract_letter(answer).answer == answer[-2]


@pytest.mark.parametrize("index", range(20))
def test_answers_on_clips_are_right(index):
    spec = make_clip("train", index)
    said = clip_turns(spec, np.random.default_rng(index), 12)
    for question, answer in zip(said[::2], said[1::2], strict=True):
        text = question["value"]
        word = answer_word(text, answer["value"].strip())
        if text.startswith("How many"):
            assert word == {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}[len(spec.scenes)]
        if text.startswith("Which background comes first"):
            assert word == spec.scenes[0].background
        if text.startswith("Which"):
            assert word in answer["value"].split(" : ")[0].split(" , ")[-1].split()


@pytest.mark.parametrize("kind", KINDS)
def test_the_scene_that_holds_the_answer_is_told_last(kind):
    spec = make_clip("train", 7)
    for draft in question_drafts(spec, kind):
        *_, last = reasoned(spec, draft, "X").removesuffix(" : X").split(" , ")
        target = len(spec.scenes) - 1 if kind == "count" else draft.target
        assert sorted(last.split()) == sorted(scene_words(spec.scenes[target], target).split())
        assert draft.answer in last.split()


def test_a_scene_is_told_from_what_names_it():
    spec = make_clip("train", 7)
    for kind in ("after", "attribute", "direction"):
        for draft in question_drafts(spec, kind):
            first, *rest = reasoned(spec, draft, "X").split(" : ")[0].split(" , ")
            assert len(rest) == (kind == "after")
            name = first.removeprefix("on ").removeprefix("a ").split()[0]
            assert f"the {name}" in draft.text or f"the shape on the {name}" in draft.text


def test_from_any_word_of_a_told_scene_the_others_follow():
    spec = make_clip("train", 9)
    for number, (scene, line) in enumerate(zip(spec.scenes, told(spec).split(" , "), strict=True)):
        for first in ("number", "colour", "shape", "background", "direction"):
            assert scene_words(scene, number, first) in line


def test_scenes_are_listed_in_order():
    spec = make_clip("train", 9)
    ((_, said),) = turns({"conversations": list_turns(spec.scenes)})
    assert said == scene_list(spec.scenes)
    assert [line.split()[0] for line in said.split(" , ")] == ["one", "two", "three", "four", "five"][
        : len(spec.scenes)
    ]


def test_a_brief_clip_has_two_scenes_of_a_few_frames():
    for number in range(12):
        packed = brief_sample(number, 48)
        assert 4 <= len(packed.pictures) == len(packed.sample["timestamps"]) <= 8
        assert packed.sample["uid"] == f"brief-{number}"
        assert all(len(answer.split(" , ")) <= 2 for _, answer in turns(packed.sample))


def test_a_clip_is_told_or_shown():
    packed = clip_sample(4, 48, questions=3)
    spec = make_clip("train", 4)
    assert packed.sample["uid"] == spec.clip_id
    assert len(packed.pictures) == len(packed.sample["timestamps"]) == spec.duration_s
    told = [text_sample(number).sample["conversations"][0]["value"] for number in range(20) if number % 5]
    assert all(" on " in text.splitlines()[0] for text in told)


def test_a_glimpse_is_a_frame_or_a_few_with_one_short_question():
    shown = [glimpse_sample(number, 48) for number in range(40)]
    asked = dict(turns(packed.sample)[0] for packed in shown)
    assert {len(packed.pictures) for packed in shown[::2]} == {1}
    assert {len(packed.pictures) for packed in shown[1::2]} == {2, 3, 4}
    assert all(len(turns(packed.sample)) == 1 for packed in shown)
    assert asked.keys() == {"What is shown ?", "Which shape is seen ?", "Which way does the shape move ?"}
    assert asked["Which shape is seen ?"] in SHAPES
    assert asked["Which way does the shape move ?"] in DIRECTIONS


def test_motion_is_asked_for_alone():
    for number in range(6):
        packed = motion_sample(number, 48)
        ((asked, way),) = turns(packed.sample)
        assert asked == "Which way does the shape move ?"
        assert way in DIRECTIONS
        assert len(packed.pictures) in (2, 3, 4)


def test_a_view_says_nothing_of_motion():
    packed = view_sample(5, 48)
    spec = make_clip("train", 5)
    ((_, seen),) = turns(packed.sample)
    assert seen.split(" , ") == [frame_line(scene) for scene in spec.scenes]
    assert len(packed.pictures) == spec.duration_s


def test_what_a_frame_shows_in_words():
    scene = make_clip("train", 3).scenes[0]
    assert frame_line(scene).split() == ["a", scene.colour, scene.shape, "on", scene.background]


def test_the_benchmarks_layout():
    assert choice("Which ?", ["a", "b", "c", "d"]) == "Which ?\nA. a\nB. b\nC. c\nD. d\nAnswer:"


def test_no_clip_is_the_benchmarks(monkeypatch):
    splits = set()

    def noted(split, index):
        splits.add(split)
        return make_clip(split, index)

    monkeypatch.setattr(clip_data, "make_clip", noted)
    shown = (brief_sample, glimpse_sample, motion_sample, view_sample, partial(clip_sample, questions=1))
    for number in range(4):
        for draw in (text_sample, letter_sample, *(partial(one, side=48) for one in shown)):
            draw(number)
    assert splits == {"train"}


def test_packing_goes_on_where_it_stopped(tmp_path):
    pack(tmp_path, 300, text_sample)
    shards = sorted(tmp_path.glob("*.tar"))
    assert [len(Shard(path)) for path in shards] == [250, 50]
    kept = shards[0].stat().st_mtime_ns
    shards[1].unlink()
    pack(tmp_path, 300, text_sample)
    assert [len(Shard(path)) for path in shards] == [250, 50]
    assert shards[0].stat().st_mtime_ns == kept
    pack(tmp_path, 260, text_sample)
    assert [len(Shard(path)) for path in shards] == [250, 10]
    pack(tmp_path, 250, text_sample)
    assert sorted(tmp_path.glob("*.tar")) == shards[:1]
    assert shards[0].stat().st_mtime_ns == kept


def test_shards_that_were_drawn_otherwise_are_refused(tmp_path):
    """Else a course with other questions would go on with those that it had."""
    two, three = (partial(clip_sample, side=48, questions=number) for number in (2, 3))
    [shard] = pack(tmp_path, 2, two).glob("*.tar")
    kept = shard.read_bytes()
    with pytest.raises(SetupError, match=r"shard-000000\.tar: was drawn otherwise, with another number of questions"):
        pack(tmp_path, 2, three)
    pack(tmp_path, 2, two)
    assert shard.read_bytes() == kept


def test_shards_are_the_same_again(tmp_path):
    one, two = (
        pack(tmp_path / name, 2, partial(clip_sample, side=48, questions=2)) / "shard-000000.tar" for name in "ab"
    )
    assert one.read_bytes() == two.read_bytes()
    assert json.loads(Shard(one).line(0))["conversations"]


def test_every_word_is_one_token(start):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(start)
    for word in vocabulary():
        if word.isalpha():
            assert len(tokenizer(f" {word}", add_special_tokens=False).input_ids) == 1, word
    for letter in "ABCD":
        assert len(tokenizer(letter, add_special_tokens=False).input_ids) == 1


def test_the_beginning_is_small(start):
    from qsv_eval.model_adapters.quicksviewer import load_pretrained

    model = load_pretrained(start, device="cpu").model
    assert sum(parameter.numel() for parameter in model.parameters()) <= 6e6
    assert model.config.gate_centred
    assert model.config.gate_init == "sensitive"


def test_the_first_heads_look_back(start):
    """Whatever the words are; without it, what belongs together in a told clip is not found (docs/training.md)."""
    from qsv_eval.model_adapters.quicksviewer.checkpoint import load_checkpoint

    language_model = load_checkpoint(start, dtype="float32").model.model.language_model
    language_model.set_attn_implementation("eager")
    words = torch.randint(0, 100, (1, 30), generator=torch.Generator().manual_seed(0))
    attention = language_model(input_ids=words, output_attentions=True).attentions[0][0]
    for head, back in enumerate((1, 2, 3, 4)):
        assert attention[head].diagonal(-back)[10:].min() > 0.5


def test_a_patch_tells_where_it_is(start):
    """Rows share one half of their code, columns the other; the nearer, the more alike."""
    from qsv_eval.model_adapters.quicksviewer.checkpoint import load_checkpoint

    tower = load_checkpoint(start, dtype="float32").model.model.perception.vision_tower
    rows, columns = tower.embeddings.position_embedding.weight.detach().unflatten(0, (6, 6)).chunk(2, dim=-1)
    assert torch.equal(rows, rows[:, :1].expand_as(rows))
    assert torch.equal(columns, columns[:1].expand_as(columns))
    apart = (rows[0, 0] - rows[:, 0]).norm(dim=-1)
    assert torch.equal(apart.argsort(), torch.arange(6))


def test_the_gate_begins_sensitive(start):
    """The size of a difference must survive the layer norm, or the gate learns nothing (docs/training.md)."""
    from qsv_eval.model_adapters.quicksviewer.checkpoint import load_checkpoint

    gate = load_checkpoint(start, dtype="float32").model.model.perception.gate
    width = gate.aggregate.in_features
    assert gate.aggregate.bias.std().item() == pytest.approx(1, abs=0.2)
    assert gate.aggregate.weight.std().item() == pytest.approx(0.2 / (3 * width) ** 0.5, rel=0.05)
