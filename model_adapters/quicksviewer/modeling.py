"""Quicksviewer as a transformers model: perceive, merge, and leave the rest to the language model.

Shape legend: B rows, L tokens of a row as written, M tokens of a row as merged, D language width, V vocabulary.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import AutoModel
from transformers.cache_utils import Cache
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs, can_return_tuple

from qsv_eval.model_adapters.quicksviewer.configuration import QuicksviewerConfig
from qsv_eval.model_adapters.quicksviewer.generation_mixin import MergedGenerationMixin
from qsv_eval.model_adapters.quicksviewer.library import CACHE
from qsv_eval.model_adapters.quicksviewer.merge_inputs import (
    IGNORED,
    PADDING,
    MergePlan,
    VisualKind,
    after_cache,
    check_inputs,
    check_keywords,
    loss_labels,
    one_cache,
    pad_to_length,
    plan_merge,
)
from qsv_eval.model_adapters.quicksviewer.outputs import (
    QuicksviewerCausalLMOutputWithPast,
    QuicksviewerModelOutputWithPast,
    visual_outputs,
)
from qsv_eval.model_adapters.quicksviewer.perception import GumbelNoise, Perception, VisualTokens
from qsv_eval.model_adapters.quicksviewer.pretrained import PlaceholderEmbedding, QuicksviewerPreTrainedModel
from qsv_eval.model_adapters.quicksviewer.weights import execution_device

__all__ = [
    "MergedInputs",
    "QuicksviewerForConditionalGeneration",
    "QuicksviewerModel",
]


class MergedInputs(NamedTuple):
    """Inputs of the language model. B rows, M tokens of the longest."""

    inputs_embeds: Tensor
    """(B, M, D), zero at the padding."""
    attention_mask: Tensor
    """(B, M)."""
    labels: Tensor | None
    """(B, M), -100 at visual tokens and padding."""
    columns: Tensor
    """(B, L): see `MergePlan.columns`."""


class QuicksviewerModel(QuicksviewerPreTrainedModel):
    """Perception and language model, without the head."""

    def __init__(self, config: QuicksviewerConfig) -> None:
        super().__init__(config)
        self.perception = Perception(config)
        self.language_model = AutoModel.from_config(config.text_config)
        # In place: another module would be initialised again, and draw other numbers for all that come after it.
        self.language_model.get_input_embeddings().__class__ = PlaceholderEmbedding
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """Return the language model's token embedding."""
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the language model's token embedding."""
        self.language_model.set_input_embeddings(value)

    @can_return_tuple
    def forward(  # type: ignore[misc]  # TransformersKwargs has position_ids, too
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        pixel_values: Tensor | None = None,
        tile_counts: Tensor | None = None,
        pixel_values_videos: Tensor | None = None,
        frame_counts: Tensor | None = None,
        visual_kind: Tensor | None = None,
        frame_ids: Tensor | None = None,
        use_cache: bool | None = None,
        cache: Cache | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> QuicksviewerModelOutputWithPast:
        """Look at images and videos, merge them with the text and run the language model.

        Args:
            input_ids: (B, L) tokens as `QuicksviewerProcessor` writes them, every frame included.
            attention_mask: (B, L), 0 at padding; (B, past + L) where a cache of `past` tokens is given.
            position_ids: for text alone; with media, positions follow from the merged sequence.
            past_key_values: what was read before (`cache` from transformers 5.24 on).
            inputs_embeds: (B, L, D) instead of `input_ids`, with zero vectors at visual placeholders. Tokens before
                those that `visual_kind` describes are text (prompt tuning).
            pixel_values: (P, 3, S, S) tiles of all images, uint8 or normalised.
            tile_counts: (images,) tiles of each image; `visual_kind` says the same of the text, so it is not needed.
            pixel_values_videos: (T, 3, S, S) frames of all videos, uint8 or normalised.
            frame_counts: (videos,) frames of each video.
            visual_kind: (B, L) `VisualKind` of each token. Without it everything is text.
            frame_ids: (B, L) frame of each token, counted over the whole batch; -1 outside of frames.
            use_cache: return what was read.
            cache: another name of `past_key_values`.
            kwargs: what every model of the library takes: `output_hidden_states`, `output_attentions`, ….

        Raises:
            ValueError: inputs that do not belong together, naming them.
        """
        check_keywords(f"{type(self).__name__}.forward", kwargs)
        read = one_cache(past_key_values, cache)
        media = {"pixel_values": pixel_values, "pixel_values_videos": pixel_values_videos, "frame_counts": frame_counts}
        check_inputs(input_ids, inputs_embeds, visual_kind, position_ids, media)
        if visual_kind is None:
            self._check_text(input_ids)
            visual, columns = None, None
        else:
            visual = self.perceive(pixel_values, pixel_values_videos, frame_counts)
            merged = self.merge(input_ids, attention_mask, visual_kind, frame_ids, visual, inputs_embeds=inputs_embeds)
            input_ids, inputs_embeds, columns = None, merged.inputs_embeds, merged.columns
            attention_mask = after_cache(read, merged.attention_mask)
        outputs = self.language_model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            return_dict=True,
            **{CACHE: read},
            **kwargs,
        )
        hidden = outputs.last_hidden_state
        if columns is not None:
            hidden = hidden.gather(1, columns.to(hidden.device).unsqueeze(-1).expand(-1, -1, hidden.shape[-1]))
        return QuicksviewerModelOutputWithPast(
            last_hidden_state=hidden,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            **{CACHE: getattr(outputs, CACHE)},
            **visual_outputs(visual),
        )

    def perceive(
        self,
        pixel_values: Tensor | None = None,
        pixel_values_videos: Tensor | None = None,
        frame_counts: Tensor | None = None,
        noise: GumbelNoise | None = None,
        starts: Tensor | None = None,
    ) -> VisualTokens:
        """Look at the images and videos of a batch; see `Perception.forward`."""
        counts = () if frame_counts is None else tuple(frame_counts.tolist())
        visual: VisualTokens = self.perception(pixel_values, pixel_values_videos, counts, noise, starts)
        return visual

    def merge(
        self,
        input_ids: Tensor | None,
        attention_mask: Tensor | None,
        visual_kind: Tensor | None,
        frame_ids: Tensor | None,
        visual: VisualTokens,
        labels: Tensor | None = None,
        *,
        inputs_embeds: Tensor | None = None,
        pad_left: bool = False,
    ) -> MergedInputs:
        """Embed the text, drop the frames that start no cube and put the visual tokens in their places.

        With `inputs_embeds` instead of `input_ids` the text is embedded already, and zero where the placeholders are.
        """
        if input_ids is None:
            assert inputs_embeds is not None, "either ids or embeddings"
            input_ids = self._ids_of(inputs_embeds, visual_kind)
        length = input_ids.shape[1]
        visual_kind, frame_ids = (
            pad_to_length(visual_kind, length, VisualKind.TEXT),
            pad_to_length(frame_ids, length, -1),
        )
        mask = None if attention_mask is None else attention_mask[:, -length:]
        plan = self.plan(input_ids, mask, visual_kind, frame_ids, visual, pad_left=pad_left)
        embeds = self.embed(plan.names(input_ids), visual)
        if inputs_embeds is not None:
            embeds = embeds.index_put(plan.text_target, inputs_embeds[plan.text_source].to(embeds))
        if labels is not None:
            merged = labels.new_full(plan.attention_mask.shape, IGNORED)
            labels = merged.index_put(plan.text_target, labels[plan.text_source])
        return MergedInputs(embeds, plan.attention_mask, labels, plan.columns)

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
        return plan_merge(
            torch.eq(input_ids, self._placeholder),
            torch.full_like(input_ids, VisualKind.TEXT) if visual_kind is None else visual_kind,
            torch.full_like(input_ids, -1) if frame_ids is None else frame_ids,
            torch.ones_like(input_ids) if attention_mask is None else attention_mask,
            visual._replace(starts_T=visual.starts_T.to(input_ids.device)),
            pad_left=pad_left,
        )

    def embed(self, names: Tensor, visual: VisualTokens) -> Tensor:
        """Turn the names of merged tokens (`MergePlan.names`), of any shape, into embeddings (…, D); padding is 0."""
        layer = self.get_input_embeddings()
        names = names.to(execution_device(layer))
        is_text = names >= 0
        text_embeds = layer(names[is_text])
        embeds = text_embeds.new_zeros(*names.shape, text_embeds.shape[-1]).index_put((is_text,), text_embeds)
        is_visual = ~is_text & (names > PADDING)
        tokens_ID = torch.cat([visual.tiles_PQD, visual.thumbnails_VQD, visual.cubes_CQD]).flatten(0, 1)
        seen = tokens_ID[(-1 - names[is_visual]).to(tokens_ID.device)]
        return embeds.index_put((is_visual,), seen.to(text_embeds))

    def _ids_of(self, inputs_embeds: Tensor, visual_kind: Tensor | None) -> Tensor:
        """Return stand-ins (B, L) for ids: the placeholder where embeddings of visual tokens are zero, and else 0."""
        is_zero = (inputs_embeds == 0).all(-1)
        kinds = pad_to_length(visual_kind, inputs_embeds.shape[1], VisualKind.TEXT)
        is_placeholder = is_zero if kinds is None else is_zero & (kinds != VisualKind.TEXT).to(is_zero.device)
        return is_placeholder.long() * self._placeholder

    def _check_text(self, input_ids: Tensor | None) -> None:
        # Single tokens are the steps of a generation, which come from the head and are never placeholders.
        if input_ids is not None and input_ids.shape[1] > 1 and bool(torch.eq(input_ids, self._placeholder).any()):
            raise ValueError(
                "input_ids: there are visual placeholders, but no visual_kind says what they stand for; "
                "pass everything that QuicksviewerProcessor returns"
            )


class QuicksviewerForConditionalGeneration(QuicksviewerPreTrainedModel, MergedGenerationMixin):
    """Quicksviewer with its language head.

    Visual inputs come from `QuicksviewerProcessor`: `pixel_values` (tiles) and `pixel_values_videos` (frames of all
    videos, with `frame_counts`), and for each token `visual_kind` and `frame_ids`.
    """

    _tied_weights_keys = {"lm_head.weight": "model.language_model.embed_tokens.weight"}  # noqa: RUF012
    _tp_plan = {"lm_head": "colwise_gather_output"}  # noqa: RUF012

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
        starts: Tensor | None = None,
    ) -> VisualTokens:
        """Look at the images and videos of a batch; see `Perception.forward`."""
        return self.model.perceive(pixel_values, pixel_values_videos, frame_counts, noise, starts)

    @can_return_tuple
    def forward(  # type: ignore[misc]  # TransformersKwargs has position_ids, too
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        pixel_values: Tensor | None = None,
        tile_counts: Tensor | None = None,
        pixel_values_videos: Tensor | None = None,
        frame_counts: Tensor | None = None,
        visual_kind: Tensor | None = None,
        frame_ids: Tensor | None = None,
        use_cache: bool | None = None,
        cache: Cache | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> QuicksviewerCausalLMOutputWithPast:
        """Predict what follows each token and, with `labels`, the training loss.

        Takes what `QuicksviewerModel.forward` takes, and `labels` (B, L) as written, of which placeholders and frames
        that start no cube take no part in the loss. `logits_to_keep` predicts for so many last tokens, or for the
        tokens at these indices, alone; 0 means all.
        """
        items = kwargs.pop("num_items_in_batch", None)
        check_keywords(f"{type(self).__name__}.forward", kwargs)
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            pixel_values=pixel_values,
            pixel_values_videos=pixel_values_videos,
            frame_counts=frame_counts,
            visual_kind=visual_kind,
            frame_ids=frame_ids,
            use_cache=use_cache,
            return_dict=True,
            **{CACHE: one_cache(past_key_values, cache)},
            **kwargs,
        )
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(outputs.last_hidden_state[:, kept, :])
        loss = gate_loss = None
        if labels is not None:
            learned = loss_labels(labels, frame_ids, outputs.cube_starts, self._placeholder)
            vocabulary = self.config.text_config.vocab_size
            loss = self.loss_function(logits, learned, vocab_size=vocabulary, num_items_in_batch=items)
            if outputs.gate_logits is not None:
                gate_loss = outputs.gate_logits.norm(dim=-1).mean()
                loss = loss + self.config.gate_loss_weight * gate_loss.to(loss.device)
        shared = ("hidden_states", "attentions", "image_hidden_states", "video_hidden_states", "cube_starts")
        return QuicksviewerCausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            gate_logits=outputs.gate_logits,
            gate_loss=gate_loss,
            **{name: getattr(outputs, name) for name in (*shared, CACHE)},
        )
