import json

import pytest

from qsv_eval.training.data.sample import BadSample, Segment, Turn, read_sample


def sample(**fields):
    return read_sample(json.dumps(fields), "data.jsonl, line 3")


def dialogue(*values):
    return [{"from": ("human", "gpt")[i % 2], "value": value} for i, value in enumerate(values)]


def text(value):
    return Segment("text", value)


def test_an_image_replaces_its_placeholder():
    turns = sample(image="a.jpg", conversations=dialogue("Look: <image> Nice?\n", "Yes.")).turns()
    assert turns == [
        Turn("user", (text("Look: "), Segment("image", image=0), text(" Nice?"))),
        Turn("assistant", (text("Yes."),)),
    ]


def test_images_without_placeholders_come_first():
    turns = sample(image=["a.jpg", "b.jpg"], conversations=dialogue("Compare.", "Same.")).turns()
    images = [Segment("image", image=0), Segment("image", image=1)]
    assert turns[0].segments == (*images, text("\n"), text("Compare."))


def test_a_video_with_either_placeholder_or_none():
    expected = (Segment("video"), text("\nWhat?"))
    for value in ("<image>\nWhat?", "<video>\nWhat?"):
        assert sample(video="a.mp4", conversations=dialogue(value, "That.")).turns()[0].segments == expected
    assert sample(video_id="a", conversations=dialogue("What?", "That.")).turns()[0].segments[0] == Segment("video")


def test_an_image_wins_over_a_video():
    assert sample(image="a.jpg", video="b.mp4", conversations=dialogue("?", "!")).video_path is None


@pytest.mark.parametrize("media", [{"image": "a.jpg"}, {"video": "a.mp4"}])
def test_a_caption_has_varied_prompts_without_a_newline(media):
    caption = sample(data_type="caption", caption="A car.", **media)
    turns = caption.turns(4)
    assert turns[0].segments[0].kind == next(iter(media))
    assert turns[1].segments == (text("A car."),)
    assert len({caption.turns(seed)[0].segments[1].text for seed in range(30)}) >= 20


def test_interleaved_images_are_user_turns_and_texts_are_replies():
    interleaved = sample(
        data_type="interleave",
        image=[None, "a.jpg", None, None, "b.jpg", None, "c.jpg"],
        caption=["lost", None, "one", "two", None, "three", None],
    )
    assert interleaved.images == ["a.jpg", "b.jpg", "c.jpg"]
    assert interleaved.turns() == [
        Turn("user", (Segment("image", image=0),)),
        Turn("assistant", (text("one two"),)),
        Turn("user", (Segment("image", image=1),)),
        Turn("assistant", (text("three"),)),
    ]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"conversations": [{"from": "gpt", "value": "x"}, {"from": "gpt", "value": "y"}]}, "turn 1"),
        ({"conversations": [{"from": "human", "value": "x"}]}, "a reply"),
        ({"conversations": [{"from": "human", "value": ""}, {"from": "gpt", "value": "y"}]}, "conversations.0.value"),
        ({"conversations": [{"from": "robot", "value": "x"}, {"from": "gpt", "value": "y"}]}, "conversations.0.from"),
        ({"data_type": "caption", "image": "a.jpg"}, "`caption`"),
        ({"data_type": "caption", "caption": "x"}, "image or a video"),
        ({"data_type": "interleave", "image": ["a"], "caption": ["b"]}, "entry 1"),
        ({"data_type": "interleave", "image": ["a", None], "caption": [None]}, "same length"),
        ({"data_type": "interleave", "image": [None, "a"], "caption": ["x", None]}, "followed by a text"),
        ({"data_type": "poem"}, "data_type"),
        ({"video": "a", "start_sec": 3, "end_sec": 2, "conversations": dialogue("x", "y")}, "end_sec"),
    ],
)
def test_an_error_names_location_and_field(fields, says):
    with pytest.raises(BadSample, match=r"data\.jsonl, line 3") as caught:
        sample(**fields)
    assert says in str(caught.value)


def test_a_line_that_is_not_json():
    with pytest.raises(BadSample, match=r"line 3.*JSON"):
        read_sample(b"{", "data.jsonl, line 3")


@pytest.mark.parametrize("value", ["<image> and <image>", "<image><image><image>"])
def test_surplus_placeholders_are_an_error(value):
    with pytest.raises(BadSample, match=r"[23] media placeholders, but the sample has 1 image or video$"):
        sample(image="a.jpg", conversations=dialogue(value, "y"))
