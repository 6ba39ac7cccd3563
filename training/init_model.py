"""Initial model of the first stage, assembled from a language model and a SigLIP vision tower."""

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
    """Assemble a Quicksviewer from two checkpoints (folders or hub ids).

    As in the reference, the eight new tokens are appended to the vocabulary, with the mean of the old rows as their
    embedding and head rows. Gate, thumbnail and resampler are initialised randomly from the seed.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(language_model)
        language = AutoModelForCausalLM.from_pretrained(language_model, dtype=dtype)
        vision = SiglipVisionModel.from_pretrained(vision_tower, dtype=dtype)
    except (OSError, ValueError) as error:
        raise SetupError(f"start: cannot load {language_model} or {vision_tower}: {error}") from error
    _add_tokens(tokenizer, language)
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
    # Depending on transformers' version, SigLIP is the tower or holds it.
    perception.vision_tower = getattr(vision, "vision_model", vision)
    model.model.language_model, model.lm_head = language.model, language.lm_head
    model.tie_weights()
    side = int(vision.config.image_size)  # type: ignore[arg-type]  # SigLIP has one image size
    processor = QuicksviewerProcessor(
        QuicksviewerImageProcessor(side), tokenizer, QuicksviewerVideoProcessor(side), thumbnail=config.use_thumbnail
    )
    return LoadedCheckpoint(model, processor)


def _add_tokens(tokenizer: PreTrainedTokenizerBase, language: Any) -> None:
    """Add the missing tokens, and resize embedding and head to the vocabulary."""
    if tokenizer.pad_token is None:
        tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.add_tokens(list(VISION_TOKENS), special_tokens=True)
    rows = min(len(tokenizer) - len(VISION_TOKENS), language.get_input_embeddings().num_embeddings)
    language.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    with torch.no_grad():
        for table in {language.get_input_embeddings(), language.get_output_embeddings()}:
            # Rounded to bfloat16 like the rows of a released model, so that frozen tables can be kept in bfloat16.
            table.weight[rows:] = table.weight[:rows].float().mean(0).to(torch.bfloat16).to(table.weight.dtype)


def _reset(module: Any) -> None:
    """Initialise a layer as torch does, for parameters that `_init_weights` does not initialise."""
    if hasattr(module, "reset_parameters"):
        module.reset_parameters()
    elif hasattr(module, "_reset_parameters"):
        module._reset_parameters()
