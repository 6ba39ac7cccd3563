"""Initial weights and tokenizer of quicksviewer-tiny."""

from pathlib import Path
from typing import Final

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import PreTrainedTokenizerFast
from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention

from qsv_eval.demo.questions import LETTERS
from qsv_eval.model_adapters.files import atomic_write
from qsv_eval.model_adapters.quicksviewer import QuicksviewerConfig
from qsv_eval.model_adapters.quicksviewer.checkpoint import load_checkpoint
from qsv_eval.model_adapters.quicksviewer.image_processing import QuicksviewerImageProcessor, QuicksviewerVideoProcessor
from qsv_eval.model_adapters.quicksviewer.modeling import QuicksviewerForConditionalGeneration
from qsv_eval.model_adapters.quicksviewer.processing import QuicksviewerProcessor
from qsv_eval.model_adapters.quicksviewer.prompt_tokens import VISION_TOKENS
from qsv_eval.model_adapters.quicksviewer.resampler import sincos
from qsv_eval.tiny.text_data import corpus

__all__ = ["SIDE", "make_start", "save", "with_gate"]

SIDE, PATCH = 48, 8
"""Side of a frame, and of a patch (one token), in pixels."""
ROPE_THETA: Final = 100.0
"""Base of the rotary positions: texts are short, and neighbours must be told apart."""
_LOOKING_BACK, _SHARPNESS = 4, 4.0


def make_start(folder: Path, seed: int = 0) -> Path:
    """Write the beginning of quicksviewer-tiny to a folder, unless it is there."""
    if folder.is_dir():
        return folder
    tokenizer = _tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = QuicksviewerForConditionalGeneration(_config(tokenizer))
        _initialise(model.model.language_model)
        _place(model.model.perception.vision_tower.embeddings.position_embedding)
    image = QuicksviewerImageProcessor(SIDE, canvases_hw=[(SIDE, SIDE)])
    return save(model, QuicksviewerProcessor(image, tokenizer, QuicksviewerVideoProcessor(SIDE)), folder)


def with_gate(checkpoint: Path, gate_of: Path, folder: Path) -> Path:
    """Write a checkpoint with the gate of another one to a folder, unless it is there."""
    if folder.is_dir():
        return folder
    whole, other = (load_checkpoint(path, dtype="float32") for path in (checkpoint, gate_of))
    whole.model.model.perception.gate.load_state_dict(other.model.model.perception.gate.state_dict())
    return save(whole.model, whole.processor, folder)


def save(model: QuicksviewerForConditionalGeneration, processor: QuicksviewerProcessor, folder: Path) -> Path:
    """Write a checkpoint to a folder, which is there when it is whole, and return the folder."""
    with atomic_write(folder) as draft:
        processor.save_pretrained(draft)
        model.save_pretrained(draft)
    return folder


def _tokenizer() -> PreTrainedTokenizerFast:
    """Return a byte-level BPE in which every word of the sample benchmark is one token."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=4096, min_frequency=1, initial_alphabet=alphabet, show_progress=False)
    texts = list(corpus())
    core.train_from_iterator([*texts, *(f" {text}" for text in texts)], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
    )
    tokenizer.add_tokens(list(VISION_TOKENS), special_tokens=True)
    # An option's letter stands right before its word.
    tokenizer.add_tokens([f"{letter}." for letter in LETTERS])
    return tokenizer


@torch.no_grad()
def _initialise(language_model: nn.Module) -> None:
    """Make words tell from the start: large embeddings, sharp attention, and nothing added to them at first.

    With one deviation for all, the average over the context drowns the word, and letters are not found for thousands
    of steps.
    """
    for name, parameter in language_model.named_parameters():
        if name.endswith("embed_tokens.weight"):
            nn.init.normal_(parameter, std=0.1)
        elif name.endswith(("q_proj.weight", "k_proj.weight")):
            nn.init.normal_(parameter, std=0.9 * parameter.shape[1] ** -0.5)
        elif name.endswith(("o_proj.weight", "down_proj.weight")):
            nn.init.zeros_(parameter)
    _look_back(next(module for module in language_model.modules() if isinstance(module, Qwen2Attention)))


def _look_back(attention: Qwen2Attention) -> None:
    """Make heads of the first layer attend to the token before, to that before it, and so on, whatever they are.

    "Find where this stood before, and say what came next" takes a head that looks one back and then one that compares
    (Olsson et al. 2022, induction heads); the first is what the small model does not find by itself.
    """
    size = attention.head_dim
    angles = ROPE_THETA ** (-torch.arange(size // 2) / (size // 2))
    for head in range(_LOOKING_BACK):
        rows, back = slice(head * size, (head + 1) * size), head + 1
        attention.q_proj.weight[rows] *= 0.1
        attention.k_proj.weight[rows] *= 0.1
        # Rotary positions turn a query against a key by their distance times these angles: alike where it is `back`.
        turned = torch.cat([torch.cos(back * angles), -torch.sin(back * angles)])
        attention.q_proj.bias[rows] = _SHARPNESS * turned
        attention.k_proj.bias[rows] = _SHARPNESS * torch.cat([torch.ones(size // 2), torch.zeros(size // 2)])


@torch.no_grad()
def _place(patches: nn.Embedding) -> None:
    """Make patches tell where they are: half of a position's code for its row, half for its column.

    Where a shape moves is learned from that in half the steps.
    """
    side = SIDE // PATCH
    code = sincos(torch.arange(side), patches.embedding_dim // 2, base=100.0)
    patches.weight.copy_(0.5 * torch.cat([code.repeat_interleave(side, 0), code.repeat(side, 1)], -1))


def _config(tokenizer: PreTrainedTokenizerFast) -> QuicksviewerConfig:
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
    return QuicksviewerConfig(
        text_config={
            "model_type": "qwen2",
            "vocab_size": len(tokenizer),
            **ends,
            "hidden_size": 144,
            "intermediate_size": 400,
            "num_hidden_layers": 6,
            "num_attention_heads": 6,
            "num_key_value_heads": 6,
            "max_position_embeddings": 8192,
            "rope_parameters": {"rope_type": "default", "rope_theta": ROPE_THETA},
            "tie_word_embeddings": True,
            "initializer_range": 0.02,
        },
        vision_config={
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "image_size": SIDE,
            "patch_size": PATCH,
        },
        grid_size=SIDE // PATCH,
        num_queries=4,
        resampler_heads=6,
        gate_momentum=1.0,
        gate_centred=True,
        gate_init="sensitive",
        **ends,
    )
