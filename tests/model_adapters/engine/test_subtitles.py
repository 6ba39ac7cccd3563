"""Subtitles at the frames that a model gets."""

import pytest

from qsv_eval.model_adapters.engine.subtitles import SUBTITLES, insert_subtitles, read_subtitles, visible_subtitles
from qsv_eval.model_adapters.errors import MediaError
from qsv_eval.model_adapters.quicksviewer.messages import DecodedImage, DecodedVideo

SRT = """1
00:00:00,500 --> 00:00:01,500
<font color="white" size=".72c">hello
there</font>

2
00:00:01,500 --> 00:00:03,000
{\\an8}good - bye

3
01:00:00,000 --> 01:00:01,000
much later
"""
VTT = "WEBVTT\n\n00:00.500 --> 00:01.500\nhello there\n"


@pytest.fixture
def srt(tmp_path):
    path = tmp_path / "a.srt"
    path.write_text(SRT)
    return str(path)


def test_text_and_times(srt, tmp_path):
    assert read_subtitles(srt) == ((0.5, 1.5, "hello there"), (1.5, 3.0, "good - bye"), (3600.0, 3601.0, "much later"))
    (tmp_path / "a.vtt").write_text(VTT)
    assert read_subtitles(str(tmp_path / "a.vtt")) == ((0.5, 1.5, "hello there"),)


@pytest.mark.parametrize(
    ("times", "texts"),
    [
        ([0.4], []),
        ([0.5], ["hello there"]),
        ([1.49, 1.5], ["hello there", "good - bye"]),
        ([2.9, 0.6, 1.0, 2.0], ["hello there", "good - bye"]),
        ([3.0, 100.0], []),
        ([3600.5], ["much later"]),
        ([], []),
    ],
)
def test_what_is_on_screen_at_a_frame(srt, times, texts):
    assert visible_subtitles(read_subtitles(srt), times) == texts


def test_a_text_that_stays_is_said_once():
    lines = [(0.0, 1.0, "hello"), (1.0, 2.0, "hello"), (2.0, 3.0, "you"), (3.0, 4.0, "hello")]
    from qsv_eval.model_adapters.engine.subtitles import Subtitle

    assert visible_subtitles([Subtitle(*line) for line in lines], [0.5, 1.5, 2.5, 3.5]) == ["hello", "you", "hello"]


def test_the_markers_place_is_filled(srt):
    messages = [
        {
            "role": "user",
            "content": [
                {"type": "image", "image": "b.png"},
                {"type": "video", "video": "a.mp4", "subtitles": srt},
                {"type": "text", "text": f"Subtitles:\n{SUBTITLES}\nWhat?"},
            ],
        }
    ]
    result = insert_subtitles(messages, [DecodedImage(1), DecodedVideo(2, [0.7, 2.0], 4.0)])
    assert result[0]["content"][2]["text"] == "Subtitles:\nhello there\ngood - bye\nWhat?"
    assert insert_subtitles(messages, [DecodedImage(1), DecodedVideo(1, [9.0], 4.0)])[0]["content"][2]["text"] == (
        "Subtitles:\n\nWhat?"
    )
    assert messages[0]["content"][2]["text"].count(SUBTITLES) == 1, "the messages stay as they were"


def test_what_is_no_subtitle_file_is_said(tmp_path):
    with pytest.raises(MediaError, match=r"none.srt: missing"):
        read_subtitles(str(tmp_path / "none.srt"))
    (tmp_path / "text.srt").write_text("nothing of the kind")
    with pytest.raises(MediaError, match=r"text.srt: undecodable \(no subtitles"):
        read_subtitles(str(tmp_path / "text.srt"))
