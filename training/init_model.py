"""The start of the first stage: a language model and a SigLIP tower become a Quicksviewer that has yet to learn."""

from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase, SiglipVisionModel

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.quicksviewer import QuicksviewerConfig
from qsv_eval.model_adapters.quicksviewer.checkpoint import LoadedCheckpoint
from qsv_eval.model_adapters.quicksviewer.image_processing import QuicksviewerImageProcessor, QuicksviewerVideoProcessor
from qsv_eval.model_adapters.quicksviewer.processing import QuicksviewerProcessor
from qsv_eval.model_adapters.quicksviewer.prompt_tokens import VISION_TOKENS
from qsv_eval.training.model import QuicksviewerForTraining

__all__ = ["assemble"]


def assemble(
    language_model: str, vision_tower: str, changes: Mapping[str, Any], dtype: torch.dtype, seed: int = 0
) -> LoadedCheckpoint:
    """Put a Quicksviewer together from two checkpoints (folders or hub ids).

    The eight new tokens are appended to the vocabulary as the reference does, their embeddings and head rows the mean
    of the old ones (spec training.md, 1.8). Gate, thumbnail and resampler are drawn from the seed.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(language_model)
        language = AutoModelForCausalLM.from_pretrained(language_model, dtype=dtype)
        vision = SiglipVisionModel.from_pretrained(vision_tower, dtype=dtype)
    except (OSError, ValueError) as error:
        raise SetupError(f"start: {language_model} or {vision_tower} cannot be loaded: {error}") from error
    _grow(tokenizer, language)
    config = QuicksviewerConfig(text_config=language.config.to_dict(), vision_config=vision.config.to_dict(), **changes)
    with torch.device("meta"):
        model = QuicksviewerForTraining(config)
    perception = model.model.perception
    for name in ("gate", "thumbnail", "resampler"):
        part = getattr(perception, name)
        if part is not None:
            part.to_empty(device="cpu").to(dtype)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for part in (perception.gate, perception.thumbnail, perception.resampler):
            for module in part.modules() if part is not None else ():
                _reset(module)
                model._init_weights(module)
    # transformers' SigLIP may be the tower or hold it, by its version.
    perception.vision_tower = getattr(vision, "vision_model", vision)
    model.model.language_model, model.lm_head = language.model, language.lm_head
    model.tie_weights()
    side = int(vision.config.image_size)  # type: ignore[arg-type]  # SigLIP's is one number
    processor = QuicksviewerProcessor(
        QuicksviewerImageProcessor(side), tokenizer, QuicksviewerVideoProcessor(side), thumbnail=config.use_thumbnail
    )
    return LoadedCheckpoint(model, processor)


def _grow(tokenizer: PreTrainedTokenizerBase, language: Any) -> None:
    """Add the tokens that are missing, and bring the tables to the vocabulary's size."""
    if tokenizer.pad_token is None:
        tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.add_tokens(list(VISION_TOKENS), special_tokens=True)
    rows = min(len(tokenizer) - len(VISION_TOKENS), language.get_input_embeddings().num_embeddings)
    language.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    with torch.no_grad():
        for table in {language.get_input_embeddings(), language.get_output_embeddings()}:
            # As exact as the rows of a released model are, which bfloat16 holds: what is only read is then kept in it.
            table.weight[rows:] = table.weight[:rows].float().mean(0).to(torch.bfloat16).to(table.weight.dtype)


def _reset(module: Any) -> None:
    """Give a layer torch's own beginning, for what `_init_weights` leaves alone."""
    if hasattr(module, "reset_parameters"):
        module.reset_parameters()
    elif hasattr(module, "_reset_parameters"):
        module._reset_parameters()
