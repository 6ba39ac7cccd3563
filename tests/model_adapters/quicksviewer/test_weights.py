"""Layers that are multiplied out compute with adapters, quantised and offloaded weights, as if they were called."""

import pytest
import torch
from torch import nn

from qsv_eval.model_adapters.quicksviewer.weights import affine, execution_device, parameter

peft = pytest.importorskip("peft")


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return nn.Linear(16, 24)


def wrapped(layer, **options):
    """The layer in a model with an adapter that has learned something."""
    config = peft.LoraConfig(r=4, target_modules=["0"], **options)
    model = peft.get_peft_model(nn.Sequential(layer), config)
    for name, value in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(value)
    return model.base_model.model[0]


def assert_computes(layer, inputs, tolerance=1e-5):
    weight, bias = affine(layer)
    made = inputs @ weight.T + (0 if bias is None else bias)
    torch.testing.assert_close(made, layer(inputs).float(), atol=tolerance, rtol=tolerance)


def test_a_plain_layer_gives_its_own_numbers(layer):
    weight, bias = affine(layer)
    assert torch.equal(weight, layer.weight)
    assert torch.equal(bias, layer.bias)
    assert affine(nn.Linear(3, 4, bias=False))[1] is None


@pytest.mark.parametrize("options", [{}, {"use_dora": True}, {"lora_bias": True}, {"use_rslora": True}])
def test_adapters_count(layer, options):
    one = wrapped(layer, **options)
    inputs = torch.randn(5, 16)
    assert not torch.equal(affine(one)[0], layer.weight)
    assert_computes(one, inputs)
    one.merge()
    assert_computes(one, inputs)
    one.unmerge()
    one.enable_adapters(False)
    torch.testing.assert_close(affine(one)[0], layer.weight)


def test_adapters_learn(layer):
    one = wrapped(layer)
    affine(one)[0].square().sum().backward()
    assert one.lora_A["default"].weight.grad.abs().sum() > 0
    assert one.lora_B["default"].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("bits", [4, 8])
def test_quantised_layers(layer, bits):
    bnb = pytest.importorskip("bitsandbytes")
    quantised = bnb.nn.Linear4bit(16, 24, quant_type="nf4") if bits == 4 else bnb.nn.Linear8bitLt(16, 24)
    quantised.load_state_dict(layer.state_dict())
    quantised.to("cpu")
    weight, bias = affine(quantised)
    assert weight.shape == (24, 16)
    assert (weight - layer.weight).abs().max() < 0.1
    torch.testing.assert_close(bias, layer.bias, atol=1e-3, rtol=1e-3)


def test_offloaded_parameters_are_loaded(layer):
    from accelerate import cpu_offload

    expected = [value.detach().clone() for value in affine(layer)]
    cpu_offload(layer, execution_device=torch.device("cpu"))
    assert layer.weight.is_meta
    for found, wanted in zip(affine(layer), expected, strict=True):
        assert torch.equal(found, wanted)
    assert layer.weight.is_meta
    assert execution_device(layer) == torch.device("cpu")


def test_attention_projections_of_a_wrapped_attention():
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(16, 4)
    plain = parameter(attention, "in_proj_weight")
    one = wrapped(attention)
    nn.init.normal_(one.lora_B["default"].weight)
    changed = parameter(one, "in_proj_weight")
    assert changed.shape == plain.shape
    assert not torch.equal(changed, plain)
