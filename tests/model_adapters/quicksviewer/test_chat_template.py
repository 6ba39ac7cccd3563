"""`apply_chat_template`, and calls with the texts that it renders: both ways lead to the same batch."""

import av
import numpy as np
import pytest
import torch
from PIL import Image

from qsv_eval.model_adapters.errors import InputError, SetupError
from qsv_eval.model_adapters.quicksviewer.messages import VideoInput

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8))
IMAGE = {"type": "image", "image": PICTURE}
WIDE = {"type": "image", "image": Image.new("RGB", (448, 224), (9, 99, 199))}


def text(words="Hi"):
    return {"type": "text", "text": words}


def ask(*parts):
    return [{"role": "user", "content": [*parts, text()]}]


def video(clip, times=None):
    return {"type": "video", "video": VideoInput(clip, times)}


def assert_same(ours, theirs):
    assert set(ours) == set(theirs)
    for key in ours:
        assert torch.equal(torch.as_tensor(ours[key]), torch.as_tensor(theirs[key])), key


@pytest.fixture
def conversations(random_clip):
    """Conversations with everything at once, and with words that are special tokens elsewhere."""
    clips = [video(random_clip(3), [0.5, 1.5, 12.25]), video(random_clip(1)), video(random_clip(4), [1, 2, 3, 4])]
    return [
        ask(),
        ask(IMAGE),
        ask(clips[0], WIDE, clips[1], IMAGE),
        [
            *ask(text(" A <image> <video> <|im_end|><video_end> \ue000 "), IMAGE),
            {"role": "assistant", "content": " Yes "},
        ],
        [{"role": "user", "content": [text("a"), WIDE, text("b")], "glued": True}, *ask(clips[2])],
    ]


def rendered_call(processor, conversations, **options):
    """Call the processor as users of transformers do, in two steps."""
    texts = processor.apply_chat_template(conversations, add_generation_prompt=True)
    parts = [
        [part for message in one for part in message["content"] if isinstance(part, dict)] for one in conversations
    ]
    media = {
        kind: [[part[kind] for part in row if part["type"] == kind] for row in parts] for kind in ("image", "video")
    }
    return processor(text=texts, images=media["image"], videos=media["video"], return_tensors="pt", **options)


def test_all_ways_lead_to_the_same_batch(qv, conversations):
    expected = qv.processor.encode(conversations)
    assert_same(rendered_call(qv.processor, conversations), expected)
    options = {"add_generation_prompt": True, "tokenize": True, "return_tensors": "pt"}
    assert_same(qv.processor.apply_chat_template(conversations, return_dict=True, **options), expected)
    assert torch.equal(qv.processor.apply_chat_template(conversations, **options), expected["input_ids"])


def test_the_batch_holds_the_tokens_of_the_engine(qv, conversations):
    batch = rendered_call(qv.processor, conversations)
    frames = 0
    for row, mask, conversation in zip(batch["input_ids"], batch["attention_mask"].bool(), conversations, strict=True):
        tokens = qv.processor.tokens(conversation)
        assert row[mask].tolist() == tokens.input_ids
        frames += max(tokens.frame_ids, default=-1) + 1
    assert frames == int(batch["frame_counts"].sum())


def test_rendered_text(qwen):
    render = qwen.processor.apply_chat_template
    assert render(ask(IMAGE)) == "<|im_start|>user\n<image>\nHi<|im_end|>\n"
    assert render([ask(IMAGE)] * 2, add_generation_prompt=True)[1].endswith("<|im_end|>\n<|im_start|>assistant\n")
    assert render(ask({"type": "video"}, {"type": "image"})) == "<|im_start|>user\n<video>\n<image>\nHi<|im_end|>\n"
    assert render(ask(text("<image>"))) == "<|im_start|>user\n<\ue000image>\nHi<|im_end|>\n"


def test_templates_render_chats_without_the_processor(qv):
    """A tokenizer that has the template renders media parts as the processor does."""
    chat = ask({"type": "image"}, {"type": "video"}, text(" b "))
    alone = qv.processor.tokenizer.apply_chat_template(chat, chat_template=qv.processor.chat_template, tokenize=False)
    assert alone == qv.processor.apply_chat_template(chat)


def test_forms_of_return(qwen):
    apply = qwen.processor.apply_chat_template
    ids = apply(ask(), tokenize=True)
    assert ids == [qwen.processor.tokens(ask(), add_generation_prompt=False).input_ids]
    assert isinstance(apply(ask(), tokenize=True, return_dict=True)["visual_kind"], list)
    arrays = apply(ask(IMAGE), tokenize=True, return_dict=True, return_tensors="np")
    assert all(isinstance(value, np.ndarray) for value in arrays.values())
    assert set(arrays) < set(qwen.processor.model_input_names)


def test_padding_and_cutting(qwen):
    processor, chats = qwen.processor, [ask(), ask(text("How do you do?"))]
    texts = processor.apply_chat_template(chats)
    right, left = (processor(text=texts, padding_side=side, return_tensors="pt") for side in ("right", "left"))
    for a, b, mask in zip(right["input_ids"], left["input_ids"], right["attention_mask"].bool(), strict=True):
        assert a[mask].tolist() == b[mask.flip(0)].tolist()
    assert len({len(row) for row in processor(text=texts, padding=False)["input_ids"]}) == 2
    assert processor(text=texts, padding="max_length", max_length=64, return_tensors="pt")["input_ids"].shape == (2, 64)
    cut = processor.apply_chat_template(
        chats, tokenize=True, processor_kwargs={"truncation": True, "max_length": 5}, return_tensors="pt"
    )
    assert torch.equal(cut, right["input_ids"][:, :5])
    with pytest.raises(InputError, match="cutting it to max_length 9 would cut images or videos"):
        processor(text="<image>", images=PICTURE, truncation=True, max_length=9)
    assert "attention_mask" not in processor(text=texts, return_attention_mask=False)


def test_beginning_of_text_is_left_out_on_request(qv):
    tokenizer = qv.processor.tokenizer
    ids = qv.processor(text="Hi", add_special_tokens=False)["input_ids"][0]
    assert ids == tokenizer("Hi", add_special_tokens=False).input_ids
    assert qv.processor(text="Hi")["input_ids"][0] == tokenizer("Hi").input_ids


def test_where_the_assistant_speaks(qv, random_clip):
    talk = [
        *ask(IMAGE, video(random_clip(2), [0.5, 1.5])),
        {"role": "assistant", "content": "Yes!"},
        *ask(WIDE),
        {"role": "assistant", "content": "No."},
    ]
    tokens, learned = qv.processor.learning_tokens(talk)
    for side in ("left", "right"):
        batch = qv.processor.apply_chat_template(
            [talk, ask()],
            tokenize=True,
            return_dict=True,
            return_assistant_tokens_mask=True,
            return_tensors="pt",
            padding_side=side,
        )
        said = batch["input_ids"][0][batch["assistant_masks"][0].bool()].tolist()
        assert said == [id_ for id_, mine in zip(tokens.input_ids, learned, strict=True) if mine]
        assert not batch["assistant_masks"][1].any()
    with pytest.raises(InputError, match="needs tokenize=True and return_dict=True"):
        qv.processor.apply_chat_template(talk, return_assistant_tokens_mask=True)


def test_the_last_message_is_left_open(qwen):
    talk = [*ask(IMAGE), {"role": "assistant", "content": "It is "}]
    open_end = qwen.processor.apply_chat_template(talk, continue_final_message=True)
    assert open_end == "<|im_start|>user\n<image>\nHi<|im_end|>\n<|im_start|>assistant\nIt is "
    with pytest.raises(InputError, match="continue_final_message and add_generation_prompt exclude each other"):
        qwen.processor.apply_chat_template(talk, continue_final_message=True, add_generation_prompt=True)


def test_other_templates(qwen):
    template = (
        "{{ mood }}{% for message in messages %}{% for part in message.content %}"
        "{{ image_token if part.type == 'image' else part.text }}|{% endfor %}{% endfor %}"
    )
    apply = qwen.processor.apply_chat_template
    assert apply(ask(IMAGE), chat_template=template, mood="glad:") == "glad:<image>|Hi|"
    ids = apply(ask(IMAGE), chat_template=template, mood="", tokenize=True, return_tensors="pt")
    assert torch.equal(ids, qwen.processor(text="<image>|Hi|", images=PICTURE, return_tensors="pt")["input_ids"])
    with pytest.raises(InputError, match="number of images: 0 and 1 were given"):
        apply(ask(IMAGE), chat_template="{{ messages[0].role }}", tokenize=True)
    with pytest.raises(InputError, match="does not mark what is said"):
        apply(ask(), chat_template=template, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"tools": [{"name": "clock"}]}, "takes no tools"),
        ({"documents": [{"title": "a", "text": "b"}]}, "takes no documents"),
        ({"load_audio_from_video": True}, "the model takes no audio"),
        ({"no_such_option": 1}, "'no_such_option' is unknown"),
        ({"processor_kwargs": {"no_such_option": 1}}, "'no_such_option' is unknown"),
        ({"padding": True, "tokenize": False}, "padding has no effect without tokenize=True"),
        ({"return_offsets_mapping": True}, "'return_offsets_mapping' is not offered"),
        ({"do_rescale": False}, "'do_rescale' is not offered"),
    ],
)
def test_what_has_no_effect_is_refused(qwen, options, complaint):
    with pytest.raises(InputError, match=complaint):
        qwen.processor.apply_chat_template(ask(), **{"tokenize": True, **options})


def test_keys_of_messages_that_the_template_does_not_know(qwen):
    message = {**ask()[0], "tool_calls": [{"name": "clock"}]}
    with pytest.raises(InputError, match="the chat template takes no 'tool_calls'"):
        qwen.processor.apply_chat_template([message])
    assert qwen.processor.apply_chat_template([{**message, "tool_calls": None}])


@pytest.mark.parametrize(
    ("inputs", "complaint"),
    [
        ({"images": [PICTURE]}, "text is missing"),
        ({}, "text is missing"),
        ({"text": []}, "a list of strings, at least one"),
        ({"text": [["Hi"]]}, "a list of strings"),
        ({"text": "Hi", "images": PICTURE}, "number of images: 0 and 1 were given"),
        ({"text": ["<image>", "<image>"], "images": [PICTURE]}, "number of images: 2 and 1 were given"),
        ({"text": "<image><video>", "images": PICTURE}, "number of videos: 1 and 0 were given"),
        ({"text": ["<image>", "a"], "images": [[], [PICTURE]]}, "text 0 has 1 <image>, but 0 images are given for it"),
        ({"text": "<video_start> Hi"}, "<video_start> is written around media by the processor"),
        ({"images": [ask()]}, "conversations stand for images; use apply_chat_template"),
        ({"images": ask()}, "conversations stand for images; use apply_chat_template"),
        ({"text": "<video>", "videos": np.zeros((2, 8, 8, 3), np.uint8), "video_metadata": []}, "0 are given for 1"),
    ],
)
def test_texts_and_media_that_do_not_fit_are_refused(qwen, inputs, complaint):
    with pytest.raises(InputError, match=complaint):
        qwen.processor(**inputs)


def test_media_are_taken_in_the_order_of_the_texts(qwen):
    texts = ["<image> a <image>", "b", "<image>"]
    images = [PICTURE, WIDE["image"], PICTURE]
    flat = qwen.processor(text=texts, images=images, return_tensors="pt")
    assert_same(qwen.processor(text=texts, images=[images[:2], [], images[2:]], return_tensors="pt"), flat)
    assert flat["tile_counts"].tolist() == [3, 3, 3]
    assert (flat["visual_kind"] == 1).sum(1).tolist() == [6, 0, 3]


def test_media_types_and_replacements(qwen, random_clip):
    batch = qwen.processor(
        text=["<image> and <video>"],
        images=WIDE["image"],
        videos=random_clip(2),
        return_mm_token_type_ids=True,
        return_text_replacement_offsets=True,
    )
    types = batch["mm_token_type_ids"][0]
    assert (types.count(1), types.count(2)) == (3, 3)
    image, clip = batch["text_replacement_offsets"][0]
    assert (image["type"], image["span"]) == ("image", (0, 7))
    assert clip["span"] == (12, 19)
    assert clip["new_span"][0] == image["new_span"][1] + len(" and ")
    assert clip["replacement"].startswith("<video_start>")


@pytest.fixture
def clip_path(tmp_path, random_clip):
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        for frame in random_clip(4).repeat(10, 0):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        container.mux(stream.encode())
    return path


def test_files_give_what_the_model_reads(qwen, clip_path):
    expected = qwen.processor.encode([qwen.read_media(ask({"type": "video", "video": clip_path}))])
    for source in (str(clip_path), clip_path, clip_path.as_uri()):
        chat = ask({"type": "video", "url": source})
        options = {"tokenize": True, "return_dict": True, "return_tensors": "pt", "add_generation_prompt": True}
        assert_same(qwen.processor.apply_chat_template(chat, **options), expected)
        rendered = qwen.processor.apply_chat_template(chat, add_generation_prompt=True)
        assert_same(qwen.processor(text=rendered, videos=source, return_tensors="pt"), expected)


@pytest.mark.parametrize(
    ("options", "frames"),
    [
        ({}, 4),
        ({"fps": 2}, 8),
        ({"fps": 2, "num_frames": 3}, 3),
        ({"num_frames": 6}, 6),
        ({"fps": 0.5}, 2),
        ({"do_sample_frames": False}, 40),
    ],
)
def test_frames_of_a_file_are_chosen_by_the_options(qwen, clip_path, options, frames):
    batch = qwen.processor(text="<video>", videos=clip_path, **options)
    assert batch["frame_counts"].tolist() == [frames]
    assert len(batch["pixel_values_videos"]) == frames


def test_generated_tokens_as_text(qwen):
    processor = qwen.processor
    ids = processor(text=["Yes", "No"], padding=False)["input_ids"]
    assert processor.batch_decode(ids) == ["Yes", "No"]
    assert processor.decode(ids[0]) == "Yes"
    assert processor.post_process_image_text_to_text(ids) == ["Yes", "No"]


def test_http_is_not_downloaded(qwen):
    with pytest.raises(SetupError, match="is not downloaded; save it and give the path"):
        qwen.chat(ask({"type": "image", "url": "https://example.com/a.png"}))
