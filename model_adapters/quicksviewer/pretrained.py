"""Loading, saving, initialisation and capabilities that both Quicksviewer classes share."""

from copy import copy
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel, SiglipVisionConfig
from transformers import initialization as init

from qsv_eval.model_adapters.quicksviewer.configuration import PLACE, QuicksviewerConfig, vision_config_beside
from qsv_eval.model_adapters.quicksviewer.gate import FirstLinear
from qsv_eval.model_adapters.quicksviewer.model_card import SavesModelCard
from qsv_eval.model_adapters.quicksviewer.resampler import Resampler
from qsv_eval.model_adapters.quicksviewer.weights import without_perception

__all__ = ["PlaceholderEmbedding", "QuicksviewerPreTrainedModel"]


class PlaceholderEmbedding(nn.Embedding):
    """Token embedding in which the visual placeholder, one past the table, is a zero vector."""

    def forward(self, input: Tensor) -> Tensor:
        """Embed token ids of any shape."""
        is_placeholder = input == self.num_embeddings
        embeds = super().forward(input.masked_fill(is_placeholder, 0))
        return embeds.masked_fill(is_placeholder.unsqueeze(-1), 0)


class QuicksviewerPreTrainedModel(SavesModelCard, PreTrainedModel):
    """Loading, initialisation and capabilities of both Quicksviewer classes."""

    config: QuicksviewerConfig
    base_model_prefix = "model"
    input_modalities = ["image", "video", "text"]  # noqa: RUF012 - transformers' form
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _no_split_modules = ["SiglipEncoderLayer", "SiglipVisionEmbeddings", "Resampler", "Gate"]  # noqa: RUF012
    _skip_keys_device_placement = ["past_key_values", "cache"]  # noqa: RUF012
    _supports_flash_attn = True
    _supports_sdpa = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, pretrained_model_name_or_path: Any, *args: Any, config: PreTrainedConfig | None = None, **kwargs: Any
    ) -> Self:
        """Load a checkpoint as transformers does.

        AutoConfig keeps the revision and the subfolder to itself, so a released checkpoint's config could only look for
        `vision_tower/` at the root of the default branch; here it is looked for where the weights are. Quantisation by
        bitsandbytes leaves perception as it is unless `llm_int8_skip_modules` says otherwise.
        """
        if "quantization_config" in kwargs:
            kwargs["quantization_config"] = without_perception(kwargs["quantization_config"])
        if pretrained_model_name_or_path is not None:
            place = {key: kwargs[key] for key in PLACE if key in kwargs}
            config = config or AutoConfig.from_pretrained(pretrained_model_name_or_path, **place)
            vision = vision_config_beside(str(pretrained_model_name_or_path), **place)
            if vision is not None:
                config = copy(config)
                config.vision_config = SiglipVisionConfig(**vision)
        return super().from_pretrained(pretrained_model_name_or_path, *args, config=config, **kwargs)

    @property
    def _placeholder(self) -> int:
        """Id of the visual placeholder."""
        assert self.config.image_token_id is not None, "the config fills it in"
        return self.config.image_token_id

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        # transformers skips parameters that are already initialised, so special cases come first.
        if isinstance(module, FirstLinear) and self.config.gate_init == "sensitive":
            # A fifth of torch's own deviation, beside a bias that the difference has to stand out from.
            init.normal_(module.weight, std=0.2 / (3 * module.in_features) ** 0.5)
            init.normal_(module.bias)
            return
        super()._init_weights(module)
        if isinstance(module, Resampler):
            init.trunc_normal_(module.query, std=0.02)
            init.xavier_uniform_(module.attn.in_proj_weight)
            init.zeros_(module.attn.in_proj_bias)
            init.normal_(module.proj, std=module.proj.shape[0] ** -0.5)
