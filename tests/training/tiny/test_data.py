"""What quicksviewer-tiny learns from: right answers, no word unknown, no clip of the benchmark."""

import json

import numpy as np
import pytest
import torch

from qsv_eval.demo import make_clip
from qsv_eval.demo.grammar import drafts, vocabulary
from qsv_eval.scoring.extract import extract_letter
from qsv_eval.training.data.shards import Shard
from qsv_eval.training.tiny.clips import brief_sample, clip_sample, pack_clips, pack_texts, picture_sample, text_sample
from qsv_eval.training.tiny.texts import (
    binding_sample,
    choice,
    clip_turns,
    reasoned,
    retold_sample,
    scene_line,
    scene_list,
)


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
        if text.startswith("What scenes"):
            assert word == scene_list(spec)
        elif not text.startswith("How many"):
            *_, target = answer["value"].split(" : ")[0].split(" , ")
            assert target.strip() in scene_list(spec)
            assert word in target.split()


def test_the_scene_that_a_question_names_is_told_first():
    spec = make_clip("train", 7)
    asked = [draft for kind in ("after", "attribute", "count") for draft in drafts(spec, kind)]
    for draft in asked:
        told = reasoned(spec, draft, "X").removesuffix("X").removesuffix(" : ")
        named = {"after": [*{*draft.scenes} - {draft.target}, draft.target], "attribute": [draft.target], "count": []}
        assert told == " , ".join(scene_line(spec.scenes[position]) for position in named[draft.kind])


def test_a_clip_is_told_again_in_another_order():
    spec = make_clip("train", 9)
    ((asked, again),) = turns(retold_sample(spec, np.random.default_rng(2)))
    told = asked.splitlines()[0].split(" , ")
    assert sorted(told) == sorted(again.split(" , "))
    assert told != again.split(" , ")


def test_a_brief_clip_has_two_scenes_of_a_few_frames():
    for number in range(12):
        packed = brief_sample(number, 48)
        assert 4 <= len(packed.pictures) == len(packed.sample["timestamps"]) <= 8
        lists = [answer for question, answer in turns(packed.sample) if question.startswith("What scenes")]
        assert all(len(told.split(" , ")) == 2 for told in lists)


def test_a_clip_is_told_or_shown():
    packed = clip_sample(4, 48, questions=3)
    spec = make_clip("train", 4)
    assert packed.sample["uid"] == spec.clip_id
    assert len(packed.pictures) == len(packed.sample["timestamps"]) == spec.duration_s
    told = [text_sample(number).sample["conversations"][0]["value"] for number in range(20) if number % 5]
    assert all(" on " in text.splitlines()[0] for text in told)


def test_a_picture_has_what_it_is_asked_for():
    packed = picture_sample(0, 48)
    (_, shown), *questions = turns(packed.sample)
    colour, shape, _, background = shown.split()
    values = {"colour": colour, "shape": shape, "background": background}
    for question, answer in questions:
        asked = question.split()[1]
        assert answer_word(question, answer) == values[asked]


def test_the_benchmarks_layout():
    assert choice("Which ?", ["a", "b", "c", "d"]) == "Which ?\nA. a\nB. b\nC. c\nD. d\nAnswer:"


def test_no_clip_is_the_benchmarks():
    shown = {clip_sample(number, 48, 1).sample["uid"].split("-")[0] for number in range(3)}
    assert shown == {"train"}


def test_packing_goes_on_where_it_stopped(tmp_path):
    pack_texts(tmp_path, 300)
    shards = sorted(tmp_path.glob("*.tar"))
    assert [len(Shard(path)) for path in shards] == [250, 50]
    kept = shards[0].stat().st_mtime_ns
    shards[1].unlink()
    pack_texts(tmp_path, 300)
    assert [len(Shard(path)) for path in shards] == [250, 50]
    assert shards[0].stat().st_mtime_ns == kept


def test_shards_are_the_same_again(tmp_path):
    one, two = (pack_clips(tmp_path / name, 2, 48, 2) / "shard-000000.tar" for name in "ab")
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


def test_the_gate_begins_sensitive(start):
    """The size of a difference must survive the layer norm, or the gate learns nothing (docs/training.md)."""
    from qsv_eval.model_adapters.quicksviewer.checkpoint import load_checkpoint

    gate = load_checkpoint(start, dtype="float32").model.model.perception.gate
    width = gate.aggregate.in_features
    assert gate.aggregate.bias.std().item() == pytest.approx(1, abs=0.2)
    assert gate.aggregate.weight.std().item() == pytest.approx(0.2 / (3 * width) ** 0.5, rel=0.05)
