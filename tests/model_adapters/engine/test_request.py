import pytest
from PIL import Image

from qsv_eval.model_adapters.engine.request import GenerationSettings, messages_from_lmms, messages_from_visuals
from qsv_eval.model_adapters.errors import SetupError


def test_temperature_zero_is_greedy_and_leaves_no_trace():
    kwargs = {"max_new_tokens": 16, "temperature": 0, "top_p": 0.9, "do_sample": True, "until": []}
    assert GenerationSettings.from_lmms(kwargs) == GenerationSettings(max_new_tokens=16)
    assert GenerationSettings.from_lmms({"max_new_tokens": 16}).for_model() == {
        "max_new_tokens": 16,
        "num_beams": 1,
        "repetition_penalty": 1.0,
    }


def test_sampling_only_when_kwargs():
    generation = GenerationSettings.from_lmms({"do_sample": True, "temperature": 0.7, "top_p": 0.8})
    assert generation.for_model()["do_sample"]
    assert generation.for_model()["temperature"] == 0.7
    assert "do_sample" not in GenerationSettings.from_lmms({"temperature": 0.7}).for_model()


def test_keys_of_other_models_and_missing_values_are_passed_over():
    assert GenerationSettings.from_lmms({"image_aspect_ratio": "pad", "top_p": None}) == GenerationSettings()


@pytest.mark.parametrize(
    ("until", "text", "expected"),
    [
        ([], "a\n\nb", "a\n\nb"),
        (["\n\n"], "a\n\nb", "a"),
        ("stop", "go stop", "go "),
        (["x", "b"], "abx", "a"),
        ([""], "abc", "abc"),
    ],
)
def test_reply_ends_before_the_first_stop_string(until, text, expected):
    assert GenerationSettings.from_lmms({"until": until}).cut(text) == expected


def test_chat_messages():
    image = Image.new("RGB", (2, 2))
    clip = {"type": "video", "url": "b.mp4", "video_start": 3, "video_end": 9.5}
    messages = messages_from_lmms(
        [
            {
                "role": "user",
                "content": [
                    {"type": "video", "url": "a.mp4"},
                    {"type": "video", "url": "c.mp4", "start_time": 1.0, "end_time": None},
                    {"type": "video", "url": clip},
                    {"type": "image", "url": image},
                    {"type": "text", "text": "What?"},
                ],
            },
            {"role": "assistant", "content": "That."},
        ]
    )
    assert messages[0]["content"] == [
        {"type": "video", "video": "a.mp4"},
        {"type": "video", "video": "c.mp4", "start_s": 1.0},
        {"type": "video", "video": "b.mp4", "start_s": 3.0, "end_s": 9.5},
        {"type": "image", "image": image},
        {"type": "text", "text": "What?"},
    ]
    assert messages[1]["content"] == [{"type": "text", "text": "That."}]


def test_audio_is_refused():
    with pytest.raises(SetupError, match="audio"):
        messages_from_lmms([{"role": "user", "content": [{"type": "audio", "url": "a.wav"}]}])


def test_simple_task():
    image = Image.new("RGB", (2, 2))
    visuals = ["a.mp4", "b.JPG", image, {"type": "video", "path": "c.webm", "video_end": 2}]
    [turn] = messages_from_visuals(visuals, "What?")
    assert turn["content"] == [
        {"type": "video", "video": "a.mp4"},
        {"type": "image", "image": "b.JPG"},
        {"type": "image", "image": image},
        {"type": "video", "video": "c.webm", "end_s": 2.0},
        {"type": "text", "text": "What?"},
    ]
    assert messages_from_visuals(None, "Hi")[0]["content"] == [{"type": "text", "text": "Hi"}]
