import json

import pytest

from qsv_eval.training.data.sample import BadSample, Segment, Turn, read_sample


def sample(**fields):
    return read_sample(json.dumps(fields), "data.jsonl, line 3")


def spoken(*values):
    return [{"from": ("human", "gpt")[number % 2], "value": value} for number, value in enumerate(values)]


def text(value):
    return Segment("text", value)


def test_an_image_stands_where_its_mark_does():
    turns = sample(image="a.jpg", conversations=spoken("Look: <image> Nice?\n", "Yes.")).turns()
    assert turns == [
        Turn("user", (text("Look: "), Segment("image", image=0), text(" Nice?"))),
        Turn("assistant", (text("Yes."),)),
    ]


def test_images_without_marks_come_first():
    turns = sample(image=["a.jpg", "b.jpg"], conversations=spoken("Compare.", "Same.")).turns()
    images = [Segment("image", image=0), Segment("image", image=1)]
    assert turns[0].segments == (*images, text("\n"), text("Compare."))


def test_a_video_by_either_mark_or_none():
    expected = (Segment("video"), text("\nWhat?"))
    for value in ("<image>\nWhat?", "<video>\nWhat?"):
        assert sample(video="a.mp4", conversations=spoken(value, "That.")).turns()[0].segments == expected
    assert sample(video_id="a", conversations=spoken("What?", "That.")).turns()[0].segments[0] == Segment("video")


def test_an_image_wins_over_a_video():
    assert sample(image="a.jpg", video="b.mp4", conversations=spoken("?", "!")).video_path is None


@pytest.mark.parametrize("media", [{"image": "a.jpg"}, {"video": "a.mp4"}])
def test_a_caption_is_asked_for_in_several_ways_without_a_newline(media):
    one = sample(data_type="caption", caption="A car.", **media)
    turns = one.turns(4)
    assert turns[0].segments[0].kind == next(iter(media))
    assert turns[1].segments == (text("A car."),)
    assert len({one.turns(seed)[0].segments[1].text for seed in range(30)}) >= 20


def test_interleaved_images_are_shown_and_texts_said():
    one = sample(
        data_type="interleave",
        image=[None, "a.jpg", None, None, "b.jpg", None, "c.jpg"],
        caption=["lost", None, "one", "two", None, "three", None],
    )
    assert one.images == ["a.jpg", "b.jpg", "c.jpg"]
    assert one.turns() == [
        Turn("user", (Segment("image", image=0),)),
        Turn("assistant", (text("one two"),)),
        Turn("user", (Segment("image", image=1),)),
        Turn("assistant", (text("three"),)),
    ]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"conversations": [{"from": "gpt", "value": "x"}, {"from": "gpt", "value": "y"}]}, "turn 1"),
        ({"conversations": [{"from": "human", "value": "x"}]}, "an answer"),
        ({"conversations": [{"from": "human", "value": ""}, {"from": "gpt", "value": "y"}]}, "conversations.0.value"),
        ({"conversations": [{"from": "robot", "value": "x"}, {"from": "gpt", "value": "y"}]}, "conversations.0.from"),
        ({"data_type": "caption", "image": "a.jpg"}, "`caption`"),
        ({"data_type": "caption", "caption": "x"}, "image or a video"),
        ({"data_type": "interleave", "image": ["a"], "caption": ["b"]}, "entry 1"),
        ({"data_type": "interleave", "image": ["a", None], "caption": [None]}, "same length"),
        ({"data_type": "interleave", "image": [None, "a"], "caption": ["x", None]}, "behind it"),
        ({"data_type": "poem"}, "data_type"),
        ({"video": "a", "start_sec": 3, "end_sec": 2, "conversations": spoken("x", "y")}, "end_sec"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(fields, says):
    with pytest.raises(BadSample, match=r"data\.jsonl, line 3") as caught:
        sample(**fields)
    assert says in str(caught.value)


def test_a_line_that_is_no_json():
    with pytest.raises(BadSample, match=r"line 3.*JSON"):
        read_sample(b"{", "data.jsonl, line 3")


@pytest.mark.parametrize("value", ["<image> and <image>", "<image><image><image>"])
def test_surplus_places_are_an_error(value):
    with pytest.raises(BadSample, match="places for media, but the sample has 1"):
        sample(image="a.jpg", conversations=spoken(value, "y"))
