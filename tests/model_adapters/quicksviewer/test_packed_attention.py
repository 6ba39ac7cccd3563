"""Attention of packed rows: each equals what SDPA gives it alone."""

import pytest
import torch
from torch import nn
from transformers import Qwen2Config, Qwen2Model
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from qsv_eval.model_adapters.quicksviewer.packed_attention import _fused, packed_attention

LENGTHS = (5, 1, 9)


def layer(*, causal=True, groups=2):
    module = nn.Module()
    module.is_causal, module.num_key_value_groups = causal, groups
    return module.train()


def vectors(groups=2):
    draw = torch.Generator().manual_seed(0)
    shapes = [(1, 4, 15, 8), (1, 4 // groups, 15, 8), (1, 4 // groups, 15, 8)]
    return [torch.randn(shape, generator=draw).requires_grad_() for shape in shapes]


def alone(module, *qkv):
    parts = zip(*(tensor.split(LENGTHS, 2) for tensor in qkv), strict=True)
    return torch.cat([sdpa_attention_forward(module, *part, None, scaling=0.3)[0] for part in parts], 1)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("fused", [True, False])
def test_each_segment_sees_itself_alone(monkeypatch, groups, causal, fused):
    if fused:  # what a GPU does
        monkeypatch.setattr("qsv_eval.model_adapters.quicksviewer.packed_attention._plain", _fused)
    module, qkv = layer(causal=causal, groups=groups), vectors(groups)
    ours, _ = packed_attention(module, *qkv, None, 0.3, segment_lengths=LENGTHS)
    theirs = alone(module, *qkv)
    torch.testing.assert_close(ours, theirs)
    pull = torch.randn_like(ours)
    for one, two in zip(
        torch.autograd.grad((ours * pull).sum(), qkv), torch.autograd.grad((theirs * pull).sum(), qkv), strict=True
    ):
        torch.testing.assert_close(one, two)


def test_without_lengths_all_is_one_segment():
    module, qkv = layer(), vectors()
    ours, _ = packed_attention(module, *qkv, None, 0.3)
    torch.testing.assert_close(ours, sdpa_attention_forward(module, *qkv, None, scaling=0.3)[0])


def test_a_mask_is_obeyed():
    module, qkv = layer(), vectors()
    mask = torch.ones(1, 1, 15, 15, dtype=torch.bool).tril()
    mask[..., 3] = False
    mask[..., 3, 3] = True
    ours, _ = packed_attention(module, *qkv, mask, 0.3)
    torch.testing.assert_close(ours, sdpa_attention_forward(module, *qkv, mask, scaling=0.3)[0])


def test_a_later_token_sees_those_before():
    module, (query, key, value) = layer(), vectors()
    ours, _ = packed_attention(module, query[:, :, -1:], key, value, None, 0.3)
    theirs, _ = sdpa_attention_forward(module, query, key, value, None, scaling=0.3)
    torch.testing.assert_close(ours, theirs[:, -1:])


@torch.no_grad()
def test_tokens_after_a_cache_see_all_before_and_nothing_after():
    config = Qwen2Config(
        vocab_size=11, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1,
    )  # fmt: skip
    torch.manual_seed(0)
    model = Qwen2Model(config).eval()
    ids = torch.arange(9).unsqueeze(0)
    whole = model(ids).last_hidden_state
    model.set_attn_implementation("segmented")
    before = model(ids[:, :5], use_cache=True)
    after = model(ids[:, 5:], past_key_values=before.past_key_values, use_cache=True)
    torch.testing.assert_close(before.last_hidden_state, whole[:, :5])
    torch.testing.assert_close(after.last_hidden_state, whole[:, 5:])
