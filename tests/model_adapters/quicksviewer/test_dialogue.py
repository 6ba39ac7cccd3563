"""Turns that go on where the last one ended say what a conversation says that is asked as a whole."""

import builtins
import io
from itertools import islice
from pathlib import Path

import pytest
from PIL import Image

from qsv_eval.model_adapters.errors import MediaError
from qsv_eval.model_adapters.quicksviewer import Dialogue

WORDS = ("What happens?", "Why is that so, and for how long?", "A")


def clip_of(frames):
    return {"type": "video", "video": frames, "timestamps": [0.5 + i for i in range(len(frames))]}


def with_words(*parts, words):
    return [*parts, {"type": "text", "text": words}]


@pytest.fixture
def looks(qv, monkeypatch):
    """How many frames and tiles went through the vision tower, call by call."""
    counts, summarise = [], qv.model.model.perception.summarise
    monkeypatch.setattr(
        qv.model.model.perception, "summarise", lambda pixels: (counts.append(len(pixels)), summarise(pixels))[1]
    )
    return counts


@pytest.fixture
def reads(qv):
    """How many tokens of prompts the language model read, call by call."""
    counts = []

    def count(module, inputs, kwargs):
        if kwargs.get("inputs_embeds") is not None:
            counts.append(kwargs["inputs_embeds"].shape[1])

    hook = qv.model.model.language_model.register_forward_pre_hook(count, with_kwargs=True)
    yield counts
    hook.remove()


def test_each_turn_equals_the_whole_conversation(qv, random_clip):
    """New media in the first turn, none, an image, none, another video."""
    image = {"type": "image", "image": Image.new("RGB", (300, 200), (200, 30, 90))}
    turns = [
        with_words(clip_of(random_clip(9)), words=WORDS[0]),
        WORDS[1],
        with_words(image, words=WORDS[2]),
        WORDS[0],
        with_words(clip_of(random_clip(12)), image, words=WORDS[1]),
    ]
    dialogue, said = Dialogue(qv, max_new_tokens=8), []
    for turn in turns:
        said.append({"role": "user", "content": turn})
        reply = dialogue.say(turn)
        assert reply == qv.chat(said, max_new_tokens=8)
        said.append({"role": "assistant", "content": reply.text})
    assert [message["role"] for message in dialogue.messages] == ["user", "assistant"] * len(turns)


def test_a_second_turn_looks_at_nothing_and_reads_what_is_new(qv, random_clip, looks, reads):
    dialogue = Dialogue(qv, max_new_tokens=4)
    first = dialogue.say(with_words(clip_of(random_clip(9)), words=WORDS[0]))
    assert looks == [9]
    reads.clear()
    second = dialogue.say(WORDS[1])
    assert looks == [9]
    assert sum(reads) <= second.prompt_tokens - first.prompt_tokens + 1


def test_what_streams_is_the_reply(qv, random_clip):
    turn = with_words(clip_of(random_clip(6)), words=WORDS[0])
    expected = Dialogue(qv, max_new_tokens=12).say(turn)
    dialogue = Dialogue(qv, max_new_tokens=12)
    pieces = list(dialogue.stream(turn))
    assert len(pieces) > 1
    assert "".join(pieces) == expected.text == dialogue.messages[-1]["content"]


def test_beams_are_heard_at_the_end(qv):
    heard = []
    reply = Dialogue(qv, max_new_tokens=6, num_beams=2).say(WORDS[0], heard.append)
    assert heard == [reply.text]


def test_a_turn_that_nobody_hears_out_was_never_there(qv, random_clip):
    turns = [with_words(clip_of(random_clip(6)), words=WORDS[0]), WORDS[1]]
    whole, broken = (Dialogue(qv, max_new_tokens=12) for _ in range(2))
    for dialogue in (whole, broken):
        dialogue.say(turns[0])
    stream = broken.stream(with_words(clip_of(random_clip(9)), words=WORDS[2]))
    assert len(list(islice(stream, 1))) == 1
    stream.close()
    assert len(broken.messages) == 2
    assert broken.say(turns[1]) == whole.say(turns[1])


def test_a_failure_is_raised_where_one_listens(qv, tmp_path):
    dialogue = Dialogue(qv, max_new_tokens=4)
    with pytest.raises(MediaError, match=r"absent\.mp4"):
        list(dialogue.stream(with_words({"type": "video", "video": tmp_path / "absent.mp4"}, words="Hi")))
    assert dialogue.messages == []
    assert dialogue.say("Hi") == qv.chat([{"role": "user", "content": "Hi"}], max_new_tokens=4)


def test_a_torn_reading_is_not_gone_on_with(qv, random_clip, monkeypatch):
    """Ctrl-C while the model reads: what half of its layers have read is thrown away."""
    turn = with_words(clip_of(random_clip(6)), words=WORDS[0])
    whole, broken = (Dialogue(qv, max_new_tokens=6) for _ in range(2))
    for dialogue in (whole, broken):
        dialogue.say(turn)

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(qv.model.model.language_model.layers[-1], "forward", interrupted)
        with pytest.raises(KeyboardInterrupt):
            broken.say(WORDS[2])
    assert broken.say(WORDS[1]) == whole.say(WORDS[1])


@pytest.mark.parametrize("text", ["/etc/x.jpg", "file:///etc/x.mp4", "https://example.org/x.png"])
def test_a_path_that_a_user_types_is_text(qv, text, monkeypatch):
    opened = []
    for module, name in ((builtins, "open"), (io, "open"), (Path, "open"), (Path, "stat")):
        real = getattr(module, name)

        def watched(file, *args, real=real, **kwargs):
            opened.append(str(file))
            return real(file, *args, **kwargs)

        monkeypatch.setattr(module, name, watched)
    reply = Dialogue(qv, max_new_tokens=2).say(text)
    assert text in reply.prompt
    assert not [file for file in opened if "x." in file]
