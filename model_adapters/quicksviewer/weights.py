"""Effective weights of layers whose matrices are multiplied out instead of being applied to inputs one by one.

Perception folds several layers into one product (`Resampler.fold`) and runs the gate in float32 whatever the model's
type, so it needs the matrices themselves. Read off a layer, `weight` is not what the layer computes with when PEFT has
wrapped it, bitsandbytes has packed it or accelerate has offloaded it. The functions here return what it computes with.
"""

from copy import copy
from typing import Any

import torch
from accelerate.hooks import AlignDevicesHook, SequentialHook
from torch import Tensor, nn
from transformers import BitsAndBytesConfig
from transformers.utils import is_peft_available

__all__ = ["affine", "base_layer", "execution_device", "parameter", "without_perception"]


def affine(layer: nn.Module) -> tuple[Tensor, Tensor | None]:
    """Return the matrix (out, in) and the bias (out,) that a linear layer computes with, in float32.

    Adapters are added (with their gradient), quantised weights are dequantised, offloaded ones are loaded.
    """
    if _is_plain(layer):
        return parameter(layer, "weight").float(), None if layer.bias is None else parameter(layer, "bias").float()
    adapters = _lora_adapters(layer)
    if adapters is None:
        return _probed(layer)
    weight, bias = affine(base_layer(layer))
    for name in adapters:
        weight = weight + layer.get_delta_weight(name).to(weight)  # type: ignore[operator]
    return weight, bias


def parameter(module: nn.Module, name: str) -> Tensor:
    """Return a parameter of a module; one that accelerate has offloaded is loaded, one that LoRA adapts has it added.

    Of wrapped modules only `nn.MultiheadAttention` has adapted parameters: PEFT adapts its `in_proj_weight`.
    """
    base = base_layer(module)
    hook = _offloading_hook(base)
    if hook is not None:
        hook.pre_forward(base)
    value: Tensor = getattr(base, name)
    if hook is not None:
        value = value.clone()  # the hook empties the parameter again
        hook.post_forward(base, None)
    if name == "in_proj_weight":
        for adapter in _lora_adapters(module) or ():
            value = value + module.get_delta_weight(adapter).to(value)  # type: ignore[operator]
    return value


def base_layer(layer: nn.Module) -> nn.Module:
    """Return the layer inside a PEFT adapter, or the layer itself."""
    return layer.get_base_layer() if _is_adapter(layer) else layer  # type: ignore[operator]


def execution_device(module: nn.Module) -> torch.device:
    """Return the device on which a module computes; that of its first parameter unless accelerate offloads it."""
    for part in module.modules():
        if (hook := _offloading_hook(part)) is not None:
            return torch.device(hook.execution_device)
        for value in part.parameters(recurse=False):
            return value.device
    raise ValueError(f"{type(module).__name__}: has no parameters, so it is on no device")


def without_perception(config: Any) -> Any:
    """Return a quantisation config that leaves perception as it is, unless it names the modules to leave itself.

    Perception multiplies its matrices out, so their rounding errors would add up; it is 6 % of a 7B model.
    """
    if not isinstance(config, BitsAndBytesConfig) or config.llm_int8_skip_modules is not None:
        return config
    config = copy(config)
    config.llm_int8_skip_modules = ["model.perception", "perception", "lm_head"]
    return config


def _offloading_hook(module: nn.Module) -> Any:
    """Return accelerate's hook that loads the module's own parameters for each call; None if they are loaded."""
    hook = getattr(module, "_hf_hook", None)
    hooks = hook.hooks if isinstance(hook, SequentialHook) else [hook]
    return next((one for one in hooks if isinstance(one, AlignDevicesHook) and one.offload), None)


def _is_plain(layer: nn.Module) -> bool:
    """Tell whether a layer computes with its own `weight` as it is stored."""
    return isinstance(layer, nn.Linear) and type(layer).__module__.partition(".")[0] in ("torch", "qsv_eval")


def _is_adapter(layer: nn.Module) -> bool:
    if not is_peft_available():
        return False
    from peft.tuners.tuners_utils import BaseTunerLayer

    return isinstance(layer, BaseTunerLayer)


def _lora_adapters(layer: nn.Module) -> list[str] | None:
    """Return the names of the plain LoRA adapters to be added; None where the layer is adapted in another way."""
    if not _is_adapter(layer):
        return None
    from peft.tuners.lora import LoraLayer

    if not isinstance(layer, LoraLayer) or layer.lora_variant or any(layer.lora_bias.values()):
        return None
    if layer.disable_adapters:
        return []
    return [name for name in layer.active_adapters if name in layer.lora_A and name not in layer.merged_adapters]


def _probed(layer: nn.Module) -> tuple[Tensor, Tensor | None]:
    """Apply a layer to the unit vectors: exact for every layer that is linear, up to the type it computes in."""
    base: Any = base_layer(layer)
    units = torch.eye(base.in_features, device=execution_device(base))
    bias = layer(torch.zeros_like(units[:1])).float()
    return (layer(units).float() - bias).T, bias[0]
