"""Load a checkpoint, ready to chat: on which devices, in which precision, with which attention."""

from os import PathLike
from typing import Any

import torch
from torch import nn
from transformers import BitsAndBytesConfig, PreTrainedModel
from transformers.utils import is_bitsandbytes_available, is_flash_attn_2_available

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.frames import FrameRule
from qsv_eval.model_adapters.frames.decode import Resize
from qsv_eval.model_adapters.quicksviewer.chat import Quicksviewer
from qsv_eval.model_adapters.quicksviewer.checkpoint import load_checkpoint
from qsv_eval.model_adapters.quicksviewer.device import resolve_device

__all__ = ["load_pretrained"]

_ATTENTIONS = ("flash_attention_2", "sdpa", "eager")
_DTYPES = ("auto", "float32", "bfloat16", "float16")

_CPU_CHUNK_FRAMES = 4
"""A CPU is busy with few frames, and they take less memory; see docs/performance.md."""


def load_pretrained(
    pretrained: str | PathLike[str],
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype = "auto",
    frame_rule: FrameRule | None = None,
    resize: Resize = "exact",
    chunk_frames: int | None = None,
    attn_implementation: str | None = None,
    bits: int | None = None,
    **options: Any,
) -> Quicksviewer:
    """Load a checkpoint.

    Args:
        pretrained: a folder or hub id of a released or saved checkpoint, or of a PEFT adapter.
        device: where to put it; the accelerator if there is one, else the CPU. Not with `device_map`.
        dtype: "float32", "bfloat16", "float16", or "auto" for the checkpoint's own.
        frame_rule: which frames of a video file are looked at.
        resize: "exact" (Pillow, as the reference) or "fast" (swscale).
        chunk_frames: frames that go through the vision tower at once; 4 on a CPU and else 16 by default.
        attn_implementation: "flash_attention_2", "sdpa" or "eager"; None takes flash-attn where it is installed and the
            device and dtype allow it, and SDPA otherwise.
        bits: 4 or 8 to load the language model quantised by bitsandbytes; the vision side is never quantised.
        options: `revision`, `subfolder`, and what else transformers' `from_pretrained` takes (`device_map`, …).

    Raises:
        SetupError: the checkpoint is not there or not whole, or an option cannot be had here.
    """
    target = resolve_device(device)
    if chunk_frames is not None and chunk_frames < 1:
        raise SetupError(f"chunk_frames {chunk_frames}: give at least 1")
    if attn_implementation not in (None, *_ATTENTIONS):
        raise SetupError(f"attn_implementation {attn_implementation!r} is unknown: use {', '.join(_ATTENTIONS)}")
    name = str(dtype).removeprefix("torch.")
    if name not in _DTYPES:
        raise SetupError(f"{pretrained}: dtype {name!r} is unknown: use one of {', '.join(_DTYPES)}")
    if bits is not None:
        options |= {"quantization_config": _quantised(bits)}
        options.setdefault("device_map", {"": str(target)})  # quantised weights cannot be moved afterwards
    checkpoint = load_checkpoint(str(pretrained), dtype=name, attn_implementation=attn_implementation, **options)
    model: nn.Module = checkpoint.model
    if "device_map" not in options:
        model.to(target)
    if attn_implementation is None and _flash_attention_fits(checkpoint.model):
        checkpoint.model.set_attn_implementation("flash_attention_2")
    if chunk_frames is not None or target.type == "cpu":
        checkpoint.model.model.perception.chunk_frames = chunk_frames or _CPU_CHUNK_FRAMES
    return Quicksviewer(checkpoint, frame_rule, resize)


def _quantised(bits: int) -> BitsAndBytesConfig:
    if bits not in (4, 8):
        raise SetupError(f"load_in_{bits}bit: only 4 and 8 bits are known")
    if not is_bitsandbytes_available():
        raise SetupError(f"load_in_{bits}bit: needs the package bitsandbytes (pip install bitsandbytes)")
    return BitsAndBytesConfig(load_in_4bit=bits == 4, load_in_8bit=bits == 8, bnb_4bit_compute_dtype=torch.bfloat16)


def _flash_attention_fits(model: PreTrainedModel) -> bool:
    """Say whether flash-attn is installed and can serve this model where it is."""
    half = model.dtype in (torch.bfloat16, torch.float16)
    return model.device.type == "cuda" and half and is_flash_attn_2_available()
