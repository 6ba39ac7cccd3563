"""A tiny Quicksviewer checkpoint with random weights, for tests that do not depend on its replies."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from qsv_eval.model_adapters.quicksviewer.configuration import QuicksviewerConfig
from qsv_eval.model_adapters.quicksviewer.image_processing import QuicksviewerImageProcessor, QuicksviewerVideoProcessor
from qsv_eval.model_adapters.quicksviewer.modeling import QuicksviewerForConditionalGeneration
from qsv_eval.model_adapters.quicksviewer.processing import QuicksviewerProcessor
from qsv_eval.model_adapters.quicksviewer.prompt_tokens import VISION_TOKENS

__all__ = ["byte_tokenizer", "make_random_checkpoint"]

_FRAME_SIZE = 96


def make_random_checkpoint(folder: Path, seed: int = 0) -> Path:
    """Write the checkpoint to `folder`, and return it."""
    tokenizer = byte_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        QuicksviewerForConditionalGeneration(_config(len(tokenizer))).eval().save_pretrained(folder)
    image, video = QuicksviewerImageProcessor(_FRAME_SIZE), QuicksviewerVideoProcessor(_FRAME_SIZE)
    QuicksviewerProcessor(image, tokenizer, video).save_pretrained(folder)
    return folder


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer with one token per byte, and Qwen's and Quicksviewer's special tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={byte: i for i, byte in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
    )
    tokenizer.add_tokens(list(VISION_TOKENS), special_tokens=True)
    return tokenizer


def _config(vocab_size: int) -> QuicksviewerConfig:
    return QuicksviewerConfig(
        text_config={
            "model_type": "qwen2",
            "vocab_size": vocab_size,
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 32768,
        },
        vision_config={
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": _FRAME_SIZE,
            "patch_size": 8,
        },
        grid_size=12,
        num_queries=16,
    )
