"""Conversations to batches."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.quicksviewer import QuicksviewerProcessor
from qsv_eval.model_adapters.quicksviewer.messages import VideoInput


def ask(*parts):
    return [{"role": "user", "content": [*parts, {"type": "text", "text": "Hi"}]}]


def video(clip, times=None):
    return {"type": "video", "video": VideoInput(clip, times)}


IMAGE = {"type": "image", "image": Image.new("RGB", (448, 224), (9, 99, 199))}


def assert_same(ours, theirs):
    assert set(ours) == set(theirs)
    for key in ours:
        assert torch.equal(ours[key], theirs[key]), key


def test_saved_and_loaded_gives_the_same_batch(qv, tmp_path, random_clip):
    conversations = [ask(IMAGE, video(random_clip(3), [0.5, 1.5, 2.5])), ask()]
    qv.processor.save_pretrained(tmp_path)
    loaded = AutoProcessor.from_pretrained(tmp_path)
    assert isinstance(loaded, QuicksviewerProcessor)
    assert loaded.thumbnail == qv.processor.thumbnail
    assert_same(loaded.encode(conversations), qv.processor.encode(conversations))


def test_settings_survive_saving(qwen, tmp_path):
    processor = AutoProcessor.from_pretrained(qwen.processor.tokenizer.name_or_path)
    processor.thumbnail = False
    processor.image_processor.tile_size = processor.video_processor.frame_size = 96
    processor.save_pretrained(tmp_path)
    loaded = AutoProcessor.from_pretrained(tmp_path)
    assert not loaded.thumbnail
    assert loaded.image_processor.tile_size == loaded.video_processor.frame_size == 96


def test_frames_are_numbered_over_the_batch(qwen, random_clip):
    batch = qwen.processor.encode(
        [ask(video(random_clip(2))), ask(IMAGE), ask(video(random_clip(3)), video(random_clip(1)))]
    )
    numbers = [sorted(set(row.tolist()) - {-1}) for row in batch["frame_ids"]]
    assert numbers == [[0, 1], [], [2, 3, 4, 5]]
    assert batch["frame_counts"].tolist() == [2, 3, 1]
    lengths = batch["attention_mask"].sum(1).tolist()
    assert batch["input_ids"].shape[1] == max(lengths)
    alone = qwen.processor.encode([ask(IMAGE)])
    assert batch["input_ids"][1, : lengths[1]].tolist() == alone["input_ids"][0].tolist()


def test_a_row_of_a_batch_equals_the_row_alone(qwen, random_clip):
    conversations = [ask(), ask(video(random_clip(4), [1, 2, 3, 4])), ask(IMAGE)]
    batch = qwen.processor.encode(conversations)
    for row, mask, conversation in zip(batch["input_ids"], batch["attention_mask"], conversations, strict=True):
        assert row[mask.bool()].tolist() == qwen.processor.encode([conversation])["input_ids"][0].tolist()


def test_image_behind_the_text(qwen):
    prompt = qwen.processor.prompt([{"role": "user", "content": [{"type": "text", "text": "Look:"}, IMAGE]}])
    tiles = "<patch_start><image><patch_end>" * 3
    assert prompt == f"<|im_start|>user\nLook:\n<im_start>{tiles}<im_end><|im_end|>\n<|im_start|>assistant\n"


def test_special_tokens_in_a_prompt_are_shown_and_not_obeyed(qwen, random_clip):
    words = {"type": "text", "text": "A <|endoftext|> <image> <video_end> B"}
    conversation = [{"role": "user", "content": [video(random_clip(2)), words]}]
    assert "A <|endoftext|> <image> <video_end> B<|im_end|>" in qwen.processor.prompt(conversation)
    batch = qwen.processor.encode([conversation])
    ids = batch["input_ids"][0].tolist()
    assert ids.count(qwen.processor.image_token_id) == 3
    assert qwen.processor.tokenizer.pad_token_id not in ids
    assert ids.count(qwen.processor.tokenizer.convert_tokens_to_ids("<video_end>")) == 1
    assert "B<|im_end|>" in qwen.processor.tokenizer.decode(ids)


def test_reply_keeps_the_token_of_id_zero(qv):
    tokenizer = qv.processor.tokenizer
    word = tokenizer("Yes", add_special_tokens=False).input_ids
    assert tokenizer.decode([0]) == "!"
    assert qv.processor.decode_reply([*word, 0, tokenizer.eos_token_id, tokenizer.pad_token_id]) == "Yes!"
    assert qv.processor.decode_reply([tokenizer.eos_token_id]) == ""


def test_wrong_number_of_timestamps_is_refused(qwen, random_clip):
    with pytest.raises(SetupError, match="1 timestamps for 2 frames"):
        qwen.processor.encode([ask(video(random_clip(2), [0.5]))])


def test_a_frame_array_of_another_form_is_refused(qwen):
    with pytest.raises(SetupError, match="must be uint8"):
        qwen.processor.encode([ask(video(np.zeros((2, 8, 8, 3))))])
