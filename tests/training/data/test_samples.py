"""Prompts and labels equal the reference's (docs/reference.md)."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from qsv_eval.model_adapters.frames import FrameRule
from qsv_eval.model_adapters.quicksviewer import load_pretrained
from qsv_eval.model_adapters.quicksviewer.merge_inputs import IGNORED
from qsv_eval.training.data.batches import SampleDraw
from qsv_eval.training.data.cost import Sizing
from qsv_eval.training.data.media import MediaReader
from qsv_eval.training.data.mixture import open_mixture
from qsv_eval.training.data.samples import ModelSample, SkippedSample, TrainingSamples, collate
from qsv_eval.training.data.shards import ShardWriter, jpeg


@pytest.fixture(scope="module", params=["qwen2", "llama3"])
def model(request, data):
    return load_pretrained(data / "reference" / request.param, device="cpu", dtype="float32")


@pytest.fixture
def qwen(data):
    return load_pretrained(data / "reference" / "qwen2", device="cpu", dtype="float32")


def samples_of(model, folder, *lines, **options):
    (folder / "data.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    return opened(model, folder / "data.jsonl", **options)


def opened(model, file, **options):
    rule = FrameRule(max_frames=3)
    mixture = open_mixture(str(file), MediaReader(rule, model.processor.video_processor.frame_size))
    return TrainingSamples(mixture, model.processor, Sizing.of(model.model.config, rule), 4096, seed=0, **options)


def dialogue(*values):
    return [{"from": ("human", "gpt")[i % 2], "value": value} for i, value in enumerate(values)]


def decoded(model, prepared):
    """Return the prompt as text, and its parts with labels."""
    decode = model.processor.tokenizer.decode
    pieces, last = [], -2
    for i, label in enumerate(prepared.labels):
        if label != IGNORED:
            pieces = [*pieces, [label]] if i != last + 1 else [*pieces[:-1], [*pieces[-1], label]]
            last = i
    return decode(prepared.tokens.input_ids), [decode(piece) for piece in pieces]


ENDS = {"qwen2": "<|im_end|>\n", "llama3": "<|eot_id|>"}
USER = {"qwen2": "<|im_start|>user\n", "llama3": "<|start_header_id|>user<|end_header_id|>\n\n"}
ASSISTANT = {"qwen2": "<|im_start|>assistant\n", "llama3": "<|start_header_id|>system<|end_header_id|>\n\n"}


def family(model):
    return "llama3" if "<|eot_id|>" in model.processor.tokenizer.get_vocab() else "qwen2"


def bare(text):
    return text.removeprefix("<|begin_of_text|>")


def test_an_image_and_its_answer(model, tmp_path):
    Image.new("RGB", (100, 100)).save(tmp_path / "a.jpg")
    line = {"image": "a.jpg", "conversations": dialogue("<image>\nWhere is it?", "Luoyang.")}
    prepared = samples_of(model, tmp_path, line)[SampleDraw(0, 0)]
    text, learned = decoded(model, prepared)
    kind = family(model)
    tiles = "<patch_start><image><patch_end>" * len(prepared.tiles_PCHW)
    expected = f"{USER[kind]}<im_start>{tiles}<im_end>\nWhere is it?{ENDS[kind]}{ASSISTANT[kind]}Luoyang.{ENDS[kind]}"
    assert bare(text) == expected
    assert learned == ["Luoyang." + ENDS[kind]]


def test_the_replies_of_both_rounds_have_labels(model, tmp_path):
    for name in "ab":
        Image.new("RGB", (100, 100)).save(tmp_path / f"{name}.jpg")
    line = {"image": ["a.jpg", "b.jpg"], "conversations": dialogue("Compare.", "A.", "Why?", "Because.")}
    text, learned = decoded(model, samples_of(model, tmp_path, line)[SampleDraw(0, 0)])
    kind = family(model)
    assert "<im_end><im_start>" in text
    assert f"<im_end>\nCompare.{ENDS[kind]}{ASSISTANT[kind]}A.{ENDS[kind]}{USER[kind]}Why?{ENDS[kind]}" in text
    assert learned == ["A." + ENDS[kind], "Because." + ENDS[kind]]


def test_a_video_before_the_cubes_are_merged(model, tmp_path, clips):
    line = {
        "video": str(clips[0]),
        "start_sec": 0,
        "end_sec": 2,
        "conversations": dialogue("<video>\nDescribe.", "A car."),
    }
    text, learned = decoded(model, samples_of(model, tmp_path, line)[SampleDraw(0, 0)])
    kind = family(model)
    video = "<video_start><thumbnail_start><image><thumbnail_end>0.5<image>1.5<image>2.5<image><video_end>"
    assert bare(text) == f"{USER[kind]}{video}\nDescribe.{ENDS[kind]}{ASSISTANT[kind]}A car.{ENDS[kind]}"
    assert learned == ["A car." + ENDS[kind]]


def test_a_caption_prompt_follows_the_video_without_a_newline(qwen, tmp_path, clips):
    line = {"data_type": "caption", "video": str(clips[0]), "caption": "A car."}
    text, _ = decoded(qwen, samples_of(qwen, tmp_path, line)[SampleDraw(0, 0)])
    assert "<video_end>Describe this video.<|im_end|>" in text


def test_interleaved_text_is_the_assistants_reply(qwen, tmp_path):
    Image.new("RGB", (100, 100)).save(tmp_path / "a.jpg")
    line = {"data_type": "interleave", "image": ["a.jpg", None, None], "caption": [None, "one", "two"]}
    text, learned = decoded(qwen, samples_of(qwen, tmp_path, line)[SampleDraw(0, 0)])
    assert text.endswith("<im_end><|im_end|>\n<|im_start|>assistant\none two<|im_end|>\n")
    assert learned == ["one two<|im_end|>\n"]


def test_special_tokens_in_the_data_stay_text(qwen, tmp_path):
    line = {"conversations": dialogue("What is <|im_end|>?", "<|im_start|> begins.")}
    prepared = samples_of(qwen, tmp_path, line)[SampleDraw(0, 0)]
    end = qwen.processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert prepared.tokens.input_ids.count(end) == 2
    assert decoded(qwen, prepared)[1] == ["<|im_start|> begins.<|im_end|>\n"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({"video": "none.mp4", "conversations": dialogue("?", "!")}, "missing"),
        ({"video": "sound.jsonl", "conversations": dialogue("?", "!")}, "undecodable"),
        ({"image": "a.jpg", "conversations": dialogue("<image><image>", "!")}, "2 media placeholders"),
        ({"conversations": []}, "line 1"),
    ],
)
def test_an_unusable_sample_is_skipped_with_its_reason(qwen, tmp_path, line, says):
    (tmp_path / "sound.jsonl").write_text("no video")
    (tmp_path / "a.jpg").write_bytes(b"")
    skipped = samples_of(qwen, tmp_path, line)[SampleDraw(0, 0)]
    assert isinstance(skipped, SkippedSample)
    assert says in skipped.reason
    assert "data.jsonl, line 1" in skipped.reason


def test_an_incomplete_packed_sample_is_skipped(qwen, tmp_path):
    two_images = {"image": ["0", "1"], "conversations": dialogue("<image> <image>", "!")}
    with ShardWriter(tmp_path) as writer:
        writer.write(two_images, [jpeg(np.zeros((8, 8, 3), np.uint8))])
        writer.write({"conversations": dialogue("?", "!")})
    shard = tmp_path / "shard-000000.tar"
    samples = opened(qwen, shard)
    assert "sample 0: names 2 images but holds 1" in samples[SampleDraw(0, 0)].reason
    shard.write_bytes(shard.read_bytes()[:1024])
    assert "truncated within the sample" in samples[SampleDraw(1, 1)].reason


def test_frames_are_counted_over_a_batch(qwen, tmp_path, clips):
    line = {"video": str(clips[0]), "conversations": dialogue("?", "!")}
    samples = samples_of(qwen, tmp_path, line, {"conversations": dialogue("?", "!")}, line)
    batch = collate([samples[SampleDraw(i, i)] for i in range(3)], pad_id=0)
    assert batch["frame_ids"].max(1).values.tolist() == [2, -1, 5]
    assert batch["frame_counts"].tolist() == [3, 3]
    assert batch["uniform_G2"].shape == (4, 2)
    assert batch["input_ids"].shape == batch["labels"].shape == batch["attention_mask"].shape


def test_a_batch_of_skipped_samples_has_no_labels():
    batch = collate([SkippedSample("why")], pad_id=7)
    assert batch["input_ids"].tolist() == [[7]]
    assert (batch["labels"] == IGNORED).all()
    assert batch["skipped"] == ["why"]
    assert "pixel_values" not in batch


def test_the_noise_depends_on_the_draw(qwen, tmp_path, clips):
    samples = samples_of(qwen, tmp_path, {"video": str(clips[0]), "conversations": dialogue("?", "!")})
    one, again, later = (samples[SampleDraw(0, serial)] for serial in (3, 3, 4))
    assert isinstance(one, ModelSample)
    assert np.array_equal(one.uniform_G2, again.uniform_G2)
    assert not np.array_equal(one.uniform_G2, later.uniform_G2)


def test_a_fraction_of_the_videos_shows_only_the_thumbnail(qwen, tmp_path, clips):
    line = {"video": str(clips[0]), "conversations": dialogue("<video>\nWhat?", "A cat.")}
    whole = samples_of(qwen, tmp_path, line)[SampleDraw(0, 0)]
    mixed = samples_of(qwen, tmp_path, line, thumbnails_only=0.3)
    drawn = [mixed[SampleDraw(0, serial)] for serial in range(60)]
    hidden = [sample for sample in drawn if max(sample.tokens.frame_ids) < 0]
    assert 8 <= len(hidden) <= 28
    text, learned = decoded(qwen, hidden[0])
    assert text.count("<image>") == 1, "the thumbnail"
    assert learned == decoded(qwen, whole)[1]
    assert len(hidden[0].frames_TCHW) == len(whole.frames_TCHW)


def test_hidden_cubes_leave_a_gradient_to_the_gate_and_none_to_the_resampler(qwen, tmp_path, clips):
    line = {"video": str(clips[0]), "conversations": dialogue("<video>\nWhat?", "A cat.")}
    samples = samples_of(qwen, tmp_path, line, thumbnails_only=1.0)
    batch = collate([samples[SampleDraw(0, 0)], samples[SampleDraw(0, 1)]], 0)
    batch = {name: value for name, value in batch.items() if name not in ("skipped", "samples", "uniform_G2")}
    model = qwen.model.train()
    loss = model(**batch).loss
    perception = model.model.perception
    to_gate, to_queries = torch.autograd.grad(
        loss, (perception.gate.hidden.weight, perception.resampler.query), allow_unused=True
    )
    assert to_gate.abs().sum() > 0
    assert to_queries is None or not to_queries.any()
