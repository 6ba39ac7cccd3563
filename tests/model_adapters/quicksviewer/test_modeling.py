"""The model's own seams: generation from any inputs, the loss, and agreement of its two ways in."""

import pytest
import torch

from qsv_eval.model_adapters.quicksviewer.messages import VideoInput


@pytest.fixture
def batch(qwen, random_clip):
    parts = [{"type": "video", "video": VideoInput(random_clip(6), [0.5 + i for i in range(6)])}]
    turns = [{"role": "user", "content": [*parts, {"type": "text", "text": "What?"}]}]
    return qwen.processor.encode([[*turns, {"role": "assistant", "content": "Yes"}]], add_generation_prompt=False)


def labels_of(batch, last=4):
    labels = torch.full_like(batch["input_ids"], -100)
    labels[:, -last:] = batch["input_ids"][:, -last:]
    return labels


def test_generate_takes_a_batch_as_the_processor_makes_it(qwen, batch):
    ids = qwen.model.generate(**batch, max_new_tokens=3, do_sample=False, pad_token_id=0)
    prompt = batch["input_ids"]
    assert torch.equal(ids[:, : prompt.shape[1]], prompt)
    assert 1 <= ids.shape[1] - prompt.shape[1] <= 3


def test_generate_takes_text_with_an_image(qwen):
    image = torch.zeros(32, 32, 3, dtype=torch.uint8).numpy()
    read = qwen.read_media([{"role": "user", "content": [{"type": "image", "image": image}]}])
    batch = qwen.processor.encode([read])
    assert qwen.model.generate(**batch, max_new_tokens=2, do_sample=False, pad_token_id=0).shape[0] == 1


def test_generate_takes_plain_token_ids(qwen):
    """Without the processor's marks a batch is plain text, as for any language model of transformers."""
    ids = qwen.processor.tokenizer("Yes", return_tensors="pt").input_ids
    assert torch.equal(
        qwen.model.generate(ids, max_new_tokens=2, do_sample=False, pad_token_id=0)[:, : len(ids[0])], ids
    )


@torch.no_grad()
def test_loss_is_cross_entropy_plus_the_gates_norm(qwen, batch):
    out = qwen.model(**batch, labels=labels_of(batch))
    visual = qwen.model.perceive(None, batch["pixel_values_videos"], batch["frame_counts"])
    expected_gate = visual.gate_logits_G2.norm(dim=-1).mean()
    last = out.logits[0, -5:-1].log_softmax(-1)
    cross_entropy = -last.gather(1, batch["input_ids"][0, -4:, None]).mean()
    torch.testing.assert_close(out.gate_loss, expected_gate)
    torch.testing.assert_close(out.loss, cross_entropy + 0.001 * expected_gate)


@torch.no_grad()
def test_loss_by_the_number_of_items(qwen, batch):
    """The trainer divides by the labelled tokens of all accumulated batches."""
    mean = qwen.model(**batch, labels=labels_of(batch))
    share = qwen.model(**batch, labels=labels_of(batch), num_items_in_batch=8)
    gate = 0.001 * mean.gate_loss
    torch.testing.assert_close(share.loss - gate, (mean.loss - gate) / 2)


@torch.no_grad()
def test_a_lone_frame_has_a_loss_without_the_gate(qwen, random_clip):
    parts = [{"type": "video", "video": VideoInput(random_clip(1))}, {"type": "text", "text": "What?"}]
    batch = qwen.processor.encode([[{"role": "user", "content": parts}]])
    out = qwen.model(**batch, labels=labels_of(batch))
    assert out.gate_loss is None
    assert out.loss.isfinite()


@torch.no_grad()
def test_forward_without_noise_is_the_same_twice(qwen, batch):
    assert torch.equal(qwen.model(**batch).logits, qwen.model(**batch).logits)


@torch.no_grad()
def test_logits_to_keep(qwen, batch):
    everything, last = qwen.model(**batch).logits, qwen.model(**batch, logits_to_keep=1).logits
    torch.testing.assert_close(last, everything[:, -1:])


def test_gradient_checkpointing_moves_no_gradient(small_model):
    ids = torch.arange(12).view(1, -1)
    gradients = []
    for enable in (False, True):
        small_model.train()
        if enable:
            small_model.gradient_checkpointing_enable()
        small_model.zero_grad()
        small_model(input_ids=ids, labels=ids).loss.backward()
        gradients.append(small_model.lm_head.weight.grad.clone())
    small_model.gradient_checkpointing_disable()
    small_model.eval().zero_grad(set_to_none=True)
    torch.testing.assert_close(*gradients)


def test_every_parameter_of_perception_is_trained(small_model):
    """All but the tower's final norm and head, which are loaded but never run (docs/reference.md, section 3)."""
    ids = torch.tensor([[1, 2, 1000, 3, 1000, 4, 1000, 5]])
    kinds = torch.tensor([[0, 0, 2, 3, 3, 3, 3, 0]])
    frames = torch.tensor([[-1, -1, -1, 0, 0, 1, 1, -1]])
    pixels = torch.randint(0, 256, (2, 3, 84, 84), dtype=torch.uint8)
    small_model.zero_grad()
    out = small_model(
        input_ids=ids,
        labels=torch.where(ids == 1000, -100, ids),
        visual_kind=kinds,
        frame_ids=frames,
        pixel_values_videos=pixels,
        frame_counts=torch.tensor([2]),
    )
    out.loss.backward()
    silent = {name for name, parameter in small_model.named_parameters() if parameter.grad is None}
    small_model.zero_grad(set_to_none=True)
    assert all(".vision_tower.head." in name or ".vision_tower.post_layernorm." in name for name in silent), silent
