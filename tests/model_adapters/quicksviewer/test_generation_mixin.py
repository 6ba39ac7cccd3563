"""`generate` as the library's vision-language models have it, held against greedy decoding by `chat`."""

import pytest
import torch
from transformers import GenerationConfig, TextIteratorStreamer

from qsv_eval.model_adapters.quicksviewer import load_pretrained
from qsv_eval.model_adapters.quicksviewer.library import CACHE
from qsv_eval.model_adapters.quicksviewer.messages import VideoInput

GREEDY = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 0}


def ask(clip, words):
    return [{"role": "user", "content": [{"type": "video", "video": clip}, {"type": "text", "text": words}]}]


@pytest.fixture
def conversations(random_clip):
    clips = [VideoInput(random_clip(frames, seed=frames), [0.5 + i for i in range(frames)]) for frames in (6, 11)]
    return [ask(clips[0], "What?"), ask(clips[1], "What happens first here?")]


@pytest.fixture
def batch(qwen, conversations):
    return qwen.processor.encode([conversations[0]])


def new_tokens(model, batch, **options):
    ids = model.generate(**batch, **GREEDY | options)
    length = batch["input_ids"].shape[1]
    assert torch.equal(ids[:, :length], batch["input_ids"])
    return ids[:, length:].tolist()


@pytest.fixture
def expected(qwen, batch):
    return new_tokens(qwen.model, batch)


def test_it_is_what_chat_says(qwen, conversations, expected):
    assert qwen.chat(conversations[0], max_new_tokens=6).token_ids == expected[0]


def test_rows_of_unequal_length_are_answered_as_alone(qwen, conversations):
    alone = [new_tokens(qwen.model, qwen.processor.encode([one]))[0] for one in conversations]
    together = new_tokens(qwen.model, qwen.processor.encode(conversations))
    assert together == alone


def test_a_positional_config(qwen, batch, expected):
    length = batch["input_ids"].shape[1]
    ids = batch.pop("input_ids")
    assert qwen.model.generate(ids, GenerationConfig(**GREEDY), **batch)[:, length:].tolist() == expected


@pytest.mark.parametrize(
    "options", [{"use_cache": False}, {"prefill_chunk_size": 7}, {"cache_implementation": "static"}]
)
def test_how_the_prompt_is_read_changes_nothing(qwen, batch, expected, options):
    assert new_tokens(qwen.model, batch, **options) == expected


def test_beams_and_several_replies(qwen, batch):
    ids = qwen.model.generate(**batch, **GREEDY | {"num_beams": 3, "num_return_sequences": 2})
    length = batch["input_ids"].shape[1]
    assert torch.equal(ids[:, :length], batch["input_ids"].repeat(2, 1))


def test_an_object_with_the_sequences(qwen, batch, expected):
    made = qwen.model.generate(**batch, **GREEDY, return_dict_in_generate=True, output_logits=True)
    assert made.sequences[:, batch["input_ids"].shape[1] :].tolist() == expected
    assert torch.cat(made.logits).argmax(-1).tolist() == expected[0]


def test_from_embeddings_alone_only_new_tokens(qwen, batch, expected):
    visual = qwen.model.perceive(None, batch["pixel_values_videos"], batch["frame_counts"])
    names = ("input_ids", "attention_mask", "visual_kind", "frame_ids")
    merged = qwen.model.model.merge(*(batch[name] for name in names), visual)
    made = qwen.model.generate(inputs_embeds=merged.inputs_embeds, attention_mask=merged.attention_mask, **GREEDY)
    assert made.tolist() == expected


def test_penalties_look_at_words_of_the_prompt_and_at_no_others(qwen, batch):
    """Ids of visual tokens are no words: an id that the prompt does not hold is not penalised."""
    made = qwen.model.generate(
        **batch, **GREEDY, repetition_penalty=2.0, return_dict_in_generate=True, output_scores=True, output_logits=True
    )
    changed = (made.scores[0] != made.logits[0])[0].nonzero().flatten().tolist()
    assert set(changed) <= set(batch["input_ids"][0].tolist())


def test_an_assistant_model(qwen, batch, expected, reference):
    """The model itself drafts what it would say; another one drafts what is mostly thrown away."""
    assert new_tokens(qwen.model, batch, assistant_model=qwen.model) == expected
    other = load_pretrained(reference / "qwen2", device="cpu", dtype="float32").model
    for parameter in other.model.parameters():
        parameter.data += 0.01 * torch.randn_like(parameter)
    assert new_tokens(qwen.model, batch, assistant_model=other) == expected
    assert new_tokens(qwen.model, batch, prompt_lookup_num_tokens=3) == expected


def test_an_assistant_that_cannot_see_is_refused(qwen, batch):
    with pytest.raises(ValueError, match="assistant_model: Qwen2Model cannot look at images or videos"):
        qwen.model.generate(**batch, **GREEDY, assistant_model=qwen.model.model.language_model)


def test_a_streamer_gets_the_written_prompt(qwen, batch, expected):
    streamer = TextIteratorStreamer(qwen.processor.tokenizer, skip_prompt=True, skip_special_tokens=False)
    new_tokens(qwen.model, batch, streamer=streamer)
    assert "".join(streamer) == qwen.processor.tokenizer.decode(expected[0])


def test_pixels_without_marks_are_refused(qwen, batch):
    batch.pop("visual_kind")
    with pytest.raises(ValueError, match="pixel_values_videos needs input_ids and visual_kind"):
        qwen.model.generate(**batch, **GREEDY)


def test_what_was_generated_can_be_gone_on_with(qwen, batch):
    """With the cache or without, as the library's models do."""
    expected = qwen.model.generate(**batch, **GREEDY)
    first = qwen.model.generate(**batch, **GREEDY | {"max_new_tokens": 3}, return_dict_in_generate=True)
    ids = first.sequences
    again = {**batch, "input_ids": ids, "attention_mask": torch.ones_like(ids)}
    rest = GREEDY | {"max_new_tokens": expected.shape[1] - ids.shape[1]}
    assert torch.equal(qwen.model.generate(**again, **rest), expected)
    cache = first[CACHE]
    assert torch.equal(qwen.model.generate(**again, **rest, **{CACHE: cache}), expected)
