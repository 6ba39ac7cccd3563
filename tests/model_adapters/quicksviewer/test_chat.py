"""Questions and answers: what the reference cannot do works, and what is wrong is named."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from qsv_eval.model_adapters.errors import MediaError, SetupError
from qsv_eval.model_adapters.quicksviewer import Cube, load_pretrained

# What the reference says of the first six frames of video_20 when it is given no timestamps (its probe
# `video_empty_timestamps_list`): prompt between the headers, cubes and generated ids.
WITHOUT_TIMES = "<video_start><thumbnail_start><image><thumbnail_end>" + "<image>" * 6 + "<video_end>\nHi"
WITHOUT_TIMES_CUBES = {"qwen2": [(0, 3), (3, 6)], "llama3": [(0, 1), (1, 6)]}
WITHOUT_TIMES_IDS = {
    "qwen2": [354, 514, 42, 453, 251, 390, 364, 514],
    "llama3": [326, 399, 164, 114, 213, 245, 588, 296],
}


def ask(*parts, words="Hi"):
    return [{"role": "user", "content": [*parts, {"type": "text", "text": words}]}]


def video(frames, **options):
    return {"type": "video", "video": frames, **options}


def times(frames):
    return [0.5 + i for i in range(frames)]


@pytest.fixture(scope="module")
def frames(reference):
    return np.load(reference / "inputs" / "video_20.npz")["frames"]


IMAGE = {"type": "image", "image": Image.new("RGB", (300, 200), (200, 30, 90))}


def test_video_without_timestamps(qv, model_name, frames):
    reply = qv.chat(ask(video(frames[:6])), max_new_tokens=8)
    assert WITHOUT_TIMES in reply.prompt
    assert [cube[:2] for cube in reply.cubes[0]] == WITHOUT_TIMES_CUBES[model_name]
    assert reply.token_ids == WITHOUT_TIMES_IDS[model_name]
    assert reply.frames == [None]
    assert {cube.start_s for cube in reply.cubes[0]} == {None}


def test_video_of_one_frame(qv, frames):
    reply = qv.chat(ask(video(frames[:1], timestamps=[0.5])), max_new_tokens=4)
    assert reply.cubes == [[Cube(0, 1, 0.5, 0.5)]]
    assert reply.frames == [[0.5]]


def test_text_alone(qv):
    reply = qv.chat([{"role": "user", "content": "Hi"}], max_new_tokens=4)
    assert reply.cubes == reply.frames == []
    assert reply.prompt_tokens == len(qv.processor.encode([ask()])["input_ids"][0])
    assert reply.token_ids == qv.chat(ask(), max_new_tokens=4).token_ids


def test_static_video(qv, frames):
    """All gaps tie; which are cut is arbitrary, but there are as many cubes as ever and they cover the video."""
    reply = qv.chat(ask(video(frames[:1].repeat(20, 0))), max_new_tokens=2)
    edges = [cube.start_frame for cube in reply.cubes[0]] + [20]
    assert [cube[:2] for cube in reply.cubes[0]] == list(pairwise(edges))
    assert len(reply.cubes[0]) == 4


def test_several_videos_in_one_conversation(qv, frames):
    clips = [frames[:6], frames[5:6], frames[8:14]]
    parts = [video(clip, timestamps=times(len(clip))) for clip in clips]
    parts[1].pop("timestamps")
    conversation = [
        *ask(*parts[:2]),
        {"role": "assistant", "content": "Yes"},
        *ask(parts[2]),
    ]
    reply = qv.chat(conversation, max_new_tokens=4)
    alone = [qv.chat(ask(part), max_new_tokens=1) for part in parts]
    assert reply.cubes == [one.cubes[0] for one in alone]
    assert reply.frames == [times(6), None, times(6)]
    assert reply.prompt.count("<video_start>") == 3


def test_video_in_a_later_turn(qv, frames):
    talk = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
    reply = qv.chat([*talk, *ask(video(frames[:6], timestamps=times(6)))], max_new_tokens=4)
    assert reply.cubes == qv.chat(ask(video(frames[:6], timestamps=times(6))), max_new_tokens=1).cubes
    assert reply.prompt.index("Hello") < reply.prompt.index("<video_start>")


def test_batches_equal_one_by_one(qv, frames):
    conversations = [
        ask(),
        ask(video(frames[:9], timestamps=times(9))),
        ask(IMAGE, words="What is it?"),
        ask(video(frames[3:7]), IMAGE, video(frames[:1], timestamps=[2.0])),
        [*ask(words="A long talk " * 9), {"role": "assistant", "content": "Yes!"}, *ask(words="Sure?")],
    ]
    together = qv.chat_batch(conversations, max_new_tokens=6)
    for ours, conversation in zip(together, conversations, strict=True):
        alone = qv.chat(conversation, max_new_tokens=6)
        assert ours == alone


def test_no_conversations_no_replies(qwen):
    assert qwen.chat_batch([]) == []


@pytest.fixture
def only_token_zero(qwen):
    def force(module, inputs, logits):
        logits[..., 0] = 1e4
        return logits

    handle = qwen.model.lm_head.register_forward_hook(force)
    yield
    handle.remove()


def test_token_zero_is_a_token(qwen, only_token_zero):
    """Id 0 is "!" in both vocabularies; the reference deletes it and fails where nothing else is said."""
    assert qwen.chat(ask(), max_new_tokens=3).text == "!!!"


@pytest.fixture
def ends_at_once(qwen):
    def force(module, inputs, logits):
        logits[..., qwen.processor.tokenizer.eos_token_id] = 1e4
        return logits

    handle = qwen.model.lm_head.register_forward_hook(force)
    yield
    handle.remove()


def test_an_empty_answer_is_empty(qwen, ends_at_once):
    reply = qwen.chat(ask(), max_new_tokens=3)
    assert (reply.text, reply.token_ids) == ("", [qwen.processor.tokenizer.eos_token_id])


def test_pad_token_in_a_question_cuts_nothing_off(qv, frames):
    pad = qv.processor.tokenizer.pad_token
    plain, padded = (qv.chat(ask(video(frames[:6]), words=words), max_new_tokens=1) for words in ("A  B", f"A {pad} B"))
    assert f"A {pad} B" in padded.prompt
    assert padded.prompt_tokens > plain.prompt_tokens


def test_visual_tokens_are_counted(qwen, frames):
    reply = qwen.chat(ask(video(frames[:6])), max_new_tokens=1)
    written = qwen.processor.encode([qwen.read_media(ask(video(frames[:6])))])["input_ids"].shape[1]
    dropped = 6 - len(reply.cubes[0])
    blocks = 1 + len(reply.cubes[0])
    assert reply.prompt_tokens == written - dropped - blocks + 64 * blocks


def test_cubes_in_seconds(qwen, frames):
    given = video(frames[:6], timestamps=[1, 2, 3, 4, 5, 6])
    (cubes,) = qwen.chat(ask(given), max_new_tokens=1).cubes
    assert cubes == [Cube(0, 3, 1.0, 4.0), Cube(3, 6, 4.0, 6.5)]
    (cubes,) = qwen.chat(ask({**given, "end_s": 9.0}), max_new_tokens=1).cubes
    assert cubes[-1].end_s == 9.0
    (cubes,) = qwen.chat(ask({**given, "end_s": 5.5}), max_new_tokens=1).cubes
    assert cubes[-1].end_s == 6.0, "no cube ends before its last frame"


def test_media_as_tensors_lists_and_paths(qwen, frames, tmp_path):
    expected = qwen.chat(ask(video(frames[:4])), max_new_tokens=4)
    for same in (torch.from_numpy(frames[:4]), [Image.fromarray(frame) for frame in frames[:4]]):
        assert qwen.chat(ask(video(same)), max_new_tokens=4) == expected
    IMAGE["image"].save(tmp_path / "picture.png")
    expected = qwen.chat(ask(IMAGE), max_new_tokens=4)
    for same in (tmp_path / "picture.png", str(tmp_path / "picture.png"), np.asarray(IMAGE["image"])):
        assert qwen.chat(ask({"type": "image", "image": same}), max_new_tokens=4) == expected


@pytest.fixture
def with_habits(released):
    """A checkpoint whose generation_config.json samples and punishes, as the Instruct models' files do."""
    habits = {"do_sample": True, "temperature": 5.0, "top_k": 3, "repetition_penalty": 1.9, "no_repeat_ngram_size": 1}
    return load_pretrained(released(generation_config=habits), device="cpu")


def test_greedy_whatever_the_checkpoint_says(with_habits, qwen):
    reply = with_habits.chat(ask(), max_new_tokens=20)
    assert reply == qwen.chat(ask(), max_new_tokens=20)
    assert len(set(reply.token_ids)) < len(reply.token_ids), "nothing may keep it from saying a token twice"


def test_sampling_when_asked_for(qwen):
    def sample(seed):
        torch.manual_seed(seed)
        return qwen.chat(ask(), max_new_tokens=12, do_sample=True, temperature=2.0).token_ids

    assert sample(1) == sample(1)
    assert len({tuple(sample(seed)) for seed in range(4)}) > 1


def test_generation_options_are_passed_on(qwen):
    free = qwen.chat(ask(), max_new_tokens=12).token_ids
    strict = qwen.chat(ask(), max_new_tokens=12, no_repeat_ngram_size=1).token_ids
    assert len(set(free)) < len(free)
    assert len(set(strict)) == len(strict)


def test_bfloat16_on_the_cpu(reference, frames):
    half = load_pretrained(reference / "qwen2", device="cpu", dtype="bfloat16")
    reply = half.chat(ask(video(frames[:6], timestamps=times(6)), IMAGE), max_new_tokens=4)
    assert len(reply.cubes[0]) == 2
    assert reply.token_ids


def test_a_file_and_a_segment_of_it(qwen, tmp_path, random_clip):
    av = pytest.importorskip("av")
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        for frame in random_clip(9).repeat(10, 0):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        container.mux(stream.encode())
    whole = qwen.chat(ask(video(path)), max_new_tokens=2)
    assert len(whole.frames[0]) == 9
    assert whole.cubes[0][-1].end_s == pytest.approx(9.0)
    part = qwen.chat(ask(video(str(path), start_s=3.0, end_s=6.0)), max_new_tokens=2)
    assert part.frames[0][0] == pytest.approx(3.5)
    assert part.frames[0][-1] <= part.cubes[0][-1].end_s < 9
    with pytest.raises(SetupError, match="timestamps are for frames given as an array"):
        qwen.chat(ask(video(path, timestamps=[0.5])))


def test_media_that_cannot_be_read(qwen, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    for name in ("broken.mp4", "absent.mp4"):
        with pytest.raises(MediaError, match=name):
            qwen.chat(ask(video(tmp_path / name)))
    with pytest.raises(MediaError, match=r"absent\.png"):
        qwen.chat(ask({"type": "image", "image": tmp_path / "absent.png"}))


@pytest.mark.parametrize(
    ("part", "complaint"),
    [
        (video(np.zeros((2, 8, 8, 3))), "a video must be uint8"),
        (video(np.zeros((2, 8, 8), np.uint8)), "a video must be uint8"),
        (video(np.zeros((2, 8, 8, 3), np.uint8), timestamps=[1.0]), "1 timestamps for 2 frames"),
        ({"type": "image", "image": np.zeros((8, 8))}, "an image array must be uint8"),
        ({"type": "sound", "sound": "a.wav"}, "only text, image and video"),
        ({"type": "video"}, 'has no "video"'),
    ],
)
def test_parts_of_another_form_are_refused(qwen, part, complaint):
    with pytest.raises(SetupError, match=complaint):
        qwen.chat(ask(part))
