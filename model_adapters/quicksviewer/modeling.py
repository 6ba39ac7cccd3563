"""Quicksviewer as a transformers model: perceive, merge, and leave the rest to the language model."""

from copy import copy
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, GenerationMixin, PreTrainedConfig, PreTrainedModel, SiglipVisionConfig
from transformers import initialization as init
from transformers.cache_utils import Cache
from transformers.utils import ModelOutput

from qsv_eval.model_adapters.quicksviewer.configuration import PLACE, QuicksviewerConfig, vision_config_beside
from qsv_eval.model_adapters.quicksviewer.gate import FirstLinear
from qsv_eval.model_adapters.quicksviewer.merging import IGNORED, PADDING, MergePlan, VisualKind, plan_merge
from qsv_eval.model_adapters.quicksviewer.perception import GumbelNoise, Perception, VisualTokens
from qsv_eval.model_adapters.quicksviewer.resampler import Resampler
from qsv_eval.model_adapters.quicksviewer.segments import SEGMENTED

__all__ = [
    "Learning",
    "MergedInputs",
    "PackedInputs",
    "QuicksviewerForConditionalGeneration",
    "QuicksviewerModel",
    "QuicksviewerOutput",
]


class MergedInputs(NamedTuple):
    """What the language model reads. B rows, M tokens of the longest."""

    inputs_embeds: Tensor
    """(B, M, D), zero at the padding."""
    attention_mask: Tensor
    """(B, M)."""
    labels: Tensor | None
    """(B, M), -100 at visual tokens and padding."""

    def packed(self) -> "PackedInputs":
        """Put the rows one behind the other, without their padding."""
        real = self.attention_mask.bool()
        position_ids = (self.attention_mask.cumsum(1) - 1)[real].unsqueeze(0)
        labels = self.labels
        if labels is not None:
            first = position_ids == 0  # no row's end foretells the next one's beginning
            labels = labels[real].unsqueeze(0).masked_fill(first, IGNORED)
        lengths = tuple(self.attention_mask.sum(1).tolist())
        return PackedInputs(self.inputs_embeds[real].unsqueeze(0), position_ids, labels, lengths)


class PackedInputs(NamedTuple):
    """Several rows as one, kept apart by `lengths` (`segments.py`), or by transformers where `position_ids` restart."""

    inputs_embeds: Tensor
    """(1, ΣM, D)."""
    position_ids: Tensor
    """(1, ΣM)."""
    labels: Tensor | None
    """(1, ΣM)."""
    lengths: tuple[int, ...]
    """Of the rows, M each."""


@dataclass
class QuicksviewerOutput(ModelOutput):
    """Output of a forward pass. The loss is cross-entropy plus the gate's weighted norm."""

    loss: Tensor | None = None
    gate_loss: Tensor | None = None
    logits: Tensor | None = None
    past_key_values: Cache | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


class Learning(NamedTuple):
    """What a training step must know beyond its own batch: sums run over all batches of the step, on all processes."""

    tokens: Tensor | int
    """Tokens that are learned; the loss is the sum over this batch divided by it."""
    gaps: Tensor | int
    """Gaps between frames, likewise for the gate's norm."""
    packed: bool = False
    """Put the rows of the batch one behind the other."""
    in_step: bool = False
    """Other processes may see a video where this one does not."""


class QuicksviewerPreTrainedModel(PreTrainedModel):
    """What both classes share."""

    config: QuicksviewerConfig
    base_model_prefix = "model"
    input_modalities = ["image", "video", "text"]  # noqa: RUF012 - transformers' form
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _no_split_modules = ["SiglipEncoderLayer", "SiglipVisionEmbeddings", "Resampler", "Gate"]  # noqa: RUF012
    _skip_keys_device_placement = ["past_key_values"]  # noqa: RUF012
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
        `vision_tower/` at the root of the default branch; here it is looked for where the weights are.
        """
        if pretrained_model_name_or_path is not None:
            place = {key: kwargs[key] for key in PLACE if key in kwargs}
            config = config or AutoConfig.from_pretrained(pretrained_model_name_or_path, **place)
            vision = vision_config_beside(str(pretrained_model_name_or_path), **place)
            if vision is not None:
                config = copy(config)
                config.vision_config = SiglipVisionConfig(**vision)
        return super().from_pretrained(pretrained_model_name_or_path, *args, config=config, **kwargs)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        # Whatever is initialised first stays, here as in transformers, so what is particular comes before the usual.
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


class QuicksviewerModel(QuicksviewerPreTrainedModel):
    """Perception and language model, without the head."""

    def __init__(self, config: QuicksviewerConfig) -> None:
        super().__init__(config)
        self.perception = Perception(config)
        self.language_model = AutoModel.from_config(config.text_config)
        self.post_init()

    def merge(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        visual_kind: Tensor | None,
        frame_ids: Tensor | None,
        visual: VisualTokens,
        labels: Tensor | None = None,
        *,
        pad_left: bool = False,
    ) -> MergedInputs:
        """Embed the text, drop the frames that start no cube and put the visual tokens in their places."""
        plan = self.plan(input_ids, attention_mask, visual_kind, frame_ids, visual, pad_left=pad_left)
        embeds = self.embed(plan.names(input_ids), visual)
        if labels is not None:
            merged = labels.new_full(plan.attention_mask.shape, IGNORED)
            labels = merged.index_put(plan.text_target, labels[plan.text_source])
        return MergedInputs(embeds, plan.attention_mask, labels)

    def plan(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        visual_kind: Tensor | None,
        frame_ids: Tensor | None,
        visual: VisualTokens,
        *,
        pad_left: bool = False,
    ) -> MergePlan:
        """Work out where everything goes; see `plan_merge`. What is left out stands for plain text."""
        placeholder = self.config.image_token_id
        assert placeholder is not None, "the config fills it in"
        return plan_merge(
            torch.eq(input_ids, placeholder),
            torch.full_like(input_ids, VisualKind.TEXT) if visual_kind is None else visual_kind,
            torch.full_like(input_ids, -1) if frame_ids is None else frame_ids,
            torch.ones_like(input_ids) if attention_mask is None else attention_mask,
            visual._replace(starts_T=visual.starts_T.to(input_ids.device)),
            pad_left=pad_left,
        )

    def embed(self, names: Tensor, visual: VisualTokens) -> Tensor:
        """Turn the names of merged tokens (`MergePlan.names`), of any shape, into embeddings (…, D); padding is 0."""
        layer = self.get_input_embeddings()
        names = names.to(self.language_model.device)
        is_text = names >= 0
        text_embeds = layer(names[is_text])
        embeds = text_embeds.new_zeros(*names.shape, text_embeds.shape[-1]).index_put((is_text,), text_embeds)
        is_visual = ~is_text & (names > PADDING)
        tokens_ID = torch.cat([visual.tiles_PQD, visual.thumbnails_VQD, visual.cubes_CQD]).flatten(0, 1)
        seen = tokens_ID[(-1 - names[is_visual]).to(tokens_ID.device)]
        return embeds.index_put((is_visual,), seen.to(text_embeds))

    def get_input_embeddings(self) -> nn.Module:
        """Return the language model's token embedding."""
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the language model's token embedding."""
        self.language_model.set_input_embeddings(value)


class QuicksviewerForConditionalGeneration(QuicksviewerPreTrainedModel, GenerationMixin):
    """Quicksviewer with its language head.

    Visual inputs come from `QuicksviewerProcessor`: `pixel_values` (tiles) and `pixel_values_videos` (frames of all
    videos, with `frame_counts`), and for each token `visual_kind` and `frame_ids`.
    """

    _tied_weights_keys = {"lm_head.weight": "model.language_model.embed_tokens.weight"}  # noqa: RUF012

    def __init__(self, config: QuicksviewerConfig) -> None:
        super().__init__(config)
        self.model = QuicksviewerModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """Return the language model's token embedding."""
        return self.model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the language model's token embedding."""
        self.model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """Return the language head."""
        return self.lm_head

    def perceive(
        self,
        pixel_values: Tensor | None = None,
        pixel_values_videos: Tensor | None = None,
        frame_counts: Tensor | None = None,
        noise: GumbelNoise | None = None,
    ) -> VisualTokens:
        """Look at the images and videos of a batch; see `Perception.forward`."""
        counts = () if frame_counts is None else tuple(frame_counts.tolist())
        return self.model.perception(pixel_values, pixel_values_videos, counts, noise)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        pixel_values: Tensor | None = None,
        pixel_values_videos: Tensor | None = None,
        frame_counts: Tensor | None = None,
        visual_kind: Tensor | None = None,
        frame_ids: Tensor | None = None,
        noise: GumbelNoise | None = None,
        learning: Learning | None = None,
        **kwargs: Any,
    ) -> QuicksviewerOutput:
        """Predict the next token everywhere and, with `labels` (as written, before merging), the training loss.

        With `learning`, logits are made only where there is something to learn, and none are returned.
        """
        gate_logits, idle = None, None
        if input_ids is not None and visual_kind is not None:
            visual = self.perceive(pixel_values, pixel_values_videos, frame_counts, noise)
            gate_logits = visual.gate_logits_G2
            merged = self.model.merge(input_ids, attention_mask, visual_kind, frame_ids, visual, labels)
            input_ids, (inputs_embeds, attention_mask, labels) = None, merged
            if learning is not None and learning.packed:
                attention_mask, (inputs_embeds, position_ids, labels, lengths) = None, merged.packed()
                if self.config.text_config._attn_implementation == SEGMENTED:
                    kwargs["segment_lengths"] = lengths
            if learning is not None and learning.in_step and max(visual.frame_counts, default=1) == 1:
                idle = self.model.perception.idle()
        items = kwargs.pop("num_items_in_batch", None)
        kwargs.pop("tile_counts", None)  # comes with a batch; the text's marks already say it
        if learning is not None:
            kwargs["use_cache"] = False  # with a cache, transformers does not keep packed rows apart
        outputs = self.model.language_model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            **kwargs,
        )
        logits = loss = gate_loss = None
        if gate_logits is not None and len(gate_logits):
            norms = gate_logits.norm(dim=-1)
            gate_loss = norms.mean() if learning is None else norms.sum() / learning.gaps
        if learning is not None:
            assert labels is not None, "there is nothing to learn from"
            loss = self._loss_where_learned(outputs.last_hidden_state, labels, learning.tokens)
        else:
            kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
            logits = self.lm_head(outputs.last_hidden_state[:, kept, :])
            if labels is not None:
                vocabulary = self.config.text_config.vocab_size
                loss = self.loss_function(logits, labels, vocab_size=vocabulary, num_items_in_batch=items)
        if loss is not None and gate_loss is not None:
            loss = loss + self.config.gate_loss_weight * gate_loss.to(loss.device)
        if loss is not None and idle is not None:
            loss = loss + idle.to(loss.device)
        return QuicksviewerOutput(
            loss=loss,
            gate_loss=gate_loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def _loss_where_learned(self, hidden_BMD: Tensor, labels_BM: Tensor, tokens: Tensor | int) -> Tensor:
        """Return the cross-entropies' sum divided by `tokens`; logits are made only where one learns from them."""
        targets_BM = labels_BM[:, 1:].to(hidden_BMD.device)
        learned_BM = targets_BM != IGNORED
        logits_LV = self.lm_head(hidden_BMD[:, :-1][learned_BM]).float()
        return F.cross_entropy(logits_LV, targets_BM[learned_BM], reduction="sum") / tokens

    @torch.no_grad()
    def generate(  # type: ignore[override]
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        pixel_values_videos: Tensor | None = None,
        frame_counts: Tensor | None = None,
        visual_kind: Tensor | None = None,
        frame_ids: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Generate from text with images and videos, or from `inputs_embeds`; returns the new tokens only, (B, new)."""
        kwargs.pop("tile_counts", None)
        generate: Any = super().generate  # type: ignore[misc]
        if input_ids is None:
            return generate(attention_mask=attention_mask, **kwargs)
        visual = self.perceive(pixel_values, pixel_values_videos, frame_counts)
        merged = self.model.merge(input_ids, attention_mask, visual_kind, frame_ids, visual, pad_left=True)
        return generate(inputs_embeds=merged.inputs_embeds, attention_mask=merged.attention_mask, **kwargs)
