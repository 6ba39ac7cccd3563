"""Prompts that share a prefix and prompts in a batch say what they say alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from qsv_eval.model_adapters.quicksviewer import VideoInput
from qsv_eval.model_adapters.quicksviewer.generation import (
    NO_PREFIX,
    common_length,
    generate,
    read_prefix,
    score,
)
from qsv_eval.model_adapters.quicksviewer.merge_inputs import PADDING

WORDS = ("What happens?", "How many scenes are there, and which one is the longest?", "Why?")


def asked(clip, words):
    video = {"type": "video", "video": VideoInput(clip, [0.5 + i for i in range(len(clip))])}
    return [{"role": "user", "content": [video, {"type": "text", "text": words}]}]


@pytest.fixture(scope="module")
def prompts(qv, random_clip):
    """Three questions on one video that was looked at once."""
    conversation, visual = qv.see(qv.read_media(asked(random_clip(12), "")))
    seen = conversation[0]["content"][0]
    return [
        qv.prompt([{"role": "user", "content": [seen, {"type": "text", "text": words}]}], visual) for words in WORDS
    ]


def logits_after(qv, prompt):
    embeds = qv.model.model.embed(prompt.names.unsqueeze(0), prompt.visual)
    with torch.inference_mode():
        return qv.model(inputs_embeds=embeds).logits[0, -1]


def test_names_stand_for_what_is_merged(qv, prompts, random_clip):
    for prompt, words in zip(prompts, WORDS, strict=True):
        batch = qv.processor.encode([qv.read_media(asked(random_clip(12), words))])
        text = {key: batch[key] for key in ("input_ids", "attention_mask", "visual_kind", "frame_ids")}
        merged = qv.model.model.merge(**text, visual=prompt.visual)
        assert torch.equal(merged.inputs_embeds, qv.model.model.embed(prompt.names.unsqueeze(0), prompt.visual))
        assert prompt.visual_tokens == 64 * (1 + len(prompt.visual.cubes_CQD))


def test_padding_is_embedded_as_zero(qv, prompts):
    names = torch.tensor([[PADDING, int(prompts[0].names[0])]])
    embeds = qv.model.model.embed(names, prompts[0].visual)
    assert not embeds[0, 0].any()
    assert embeds[0, 1].any()


def test_the_prefix_reaches_to_the_question(prompts):
    length = common_length(prompts)
    assert all(torch.equal(prompt.names[:length], prompts[0].names[:length]) for prompt in prompts)
    assert len({int(prompt.names[length]) for prompt in prompts}) > 1
    assert length > 64 * len(prompts[0].visual.cubes_CQD)


def test_equal_prompts_keep_a_token_to_go_on_with(prompts):
    assert common_length([prompts[0], prompts[0]]) == len(prompts[0]) - 1


def test_a_lone_prompt_and_prompts_of_other_videos_have_no_prefix(qv, prompts, random_clip):
    conversation, visual = qv.see(qv.read_media(asked(random_clip(12), WORDS[0])))
    other = qv.prompt(conversation, visual)
    assert torch.equal(other.names, prompts[0].names)
    assert common_length([prompts[0]]) == common_length([prompts[0], other]) == 0


@pytest.mark.parametrize("together", [1, 2, 3])
def test_prefix_and_batch_change_nothing(qv, prompts, together):
    config = qv.generation(max_new_tokens=12)
    alone = [generate(qv.model, [prompt], config)[0] for prompt in prompts]
    prefix = read_prefix(qv.model, prompts[0], common_length(prompts))
    batches = [prompts[start : start + together] for start in range(0, 3, together)]
    shared = [ids for batch in batches for ids in generate(qv.model, batch, config, prefix)]
    plain = [ids for batch in batches for ids in generate(qv.model, batch, config)]
    for one, other, unshared, prompt in zip(alone, shared, plain, prompts, strict=True):
        assert_equal_up_to_ties(qv, prompt, one, other)
        assert_equal_up_to_ties(qv, prompt, one, unshared)


def assert_equal_up_to_ties(qv, prompt, one, other):
    """Ids must be equal up to the first place where the two best tokens lie within 1e-3."""
    for place, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        if mine != theirs:
            longer = replace(prompt, names=torch.cat([prompt.names, torch.tensor(one[:place], dtype=torch.long)]))
            best = logits_after(qv, longer).topk(2).values
            assert best[0] - best[1] <= 1e-3
            return
    assert len(one) == len(other)


def test_a_prefix_is_not_used_up(qv, prompts):
    config = qv.generation(max_new_tokens=4)
    prefix = read_prefix(qv.model, prompts[0], common_length(prompts))
    first = generate(qv.model, prompts[:2], config, prefix)
    assert prefix.cache.get_seq_length() == prefix.length
    assert generate(qv.model, prompts[:2], config, prefix) == first


def test_beams_go_without_the_prefix(qv, prompts):
    config = qv.generation(max_new_tokens=6, num_beams=3)
    prefix = read_prefix(qv.model, prompts[0], common_length(prompts))
    assert generate(qv.model, prompts, config, prefix) == generate(qv.model, prompts, config)


@pytest.mark.parametrize("with_prefix", [False, True])
def test_scores_are_the_models_own_probabilities(qv, prompts, with_prefix):
    continuations = [[5, 9, 11], [7], [3, 4]]
    prefix = read_prefix(qv.model, prompts[0], common_length(prompts)) if with_prefix else NO_PREFIX
    for found, prompt, ids in zip(score(qv.model, prompts, continuations, prefix), prompts, continuations, strict=True):
        expected = []
        for place, id_ in enumerate(ids):
            longer = replace(prompt, names=torch.cat([prompt.names, torch.tensor(ids[:place], dtype=torch.long)]))
            expected.append(-logits_after(qv, longer).log_softmax(-1)[id_].item())
        assert found.loss == pytest.approx(np.mean(expected), rel=1e-4)
        assert found.tokens == len(ids)
        assert not found.is_greedy


def test_what_the_model_says_itself_is_greedy(qv, prompts):
    ids = generate(qv.model, prompts[:1], qv.generation(max_new_tokens=5))[0]
    [found] = score(qv.model, prompts[:1], [ids])
    assert found.is_greedy
