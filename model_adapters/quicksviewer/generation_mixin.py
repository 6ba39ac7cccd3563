"""`generate` for prompts with images and videos: the library's own loop over merged tokens.

transformers generates from token ids, one for each position of the cache. A written prompt has other positions than the
merged one that the language model reads, so `generate` merges first, runs the library's loop on stand-in ids, one for
each merged token, and returns the written prompt followed by the new tokens, as the library's models do.

Shape legend: B rows, L tokens of a row as written, M tokens of a row as merged, D language width.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import GenerationConfig, GenerationMixin, LogitsProcessorList, StoppingCriteriaList
from transformers.cache_utils import Cache
from transformers.generation.streamers import BaseStreamer
from transformers.utils import ModelOutput

from qsv_eval.model_adapters.quicksviewer.library import CACHE
from qsv_eval.model_adapters.quicksviewer.merge_inputs import VisualKind
from qsv_eval.model_adapters.quicksviewer.perception import VisualTokens

__all__ = ["MergedGenerationMixin"]


class MergedGenerationMixin(GenerationMixin):
    """The library's generation for a model whose prompt is merged with visual tokens before it is read."""

    model: Any
    perceive: Any
    get_input_embeddings: Any

    @torch.no_grad()
    def generate(  # type: ignore[override]
        self,
        inputs: Tensor | None = None,
        generation_config: GenerationConfig | None = None,
        logits_processor: LogitsProcessorList | None = None,
        stopping_criteria: StoppingCriteriaList | None = None,
        *,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        tile_counts: Tensor | None = None,
        pixel_values_videos: Tensor | None = None,
        frame_counts: Tensor | None = None,
        visual_kind: Tensor | None = None,
        frame_ids: Tensor | None = None,
        assistant_model: Any = None,
        streamer: BaseStreamer | None = None,
        draft_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Generate from text with images and videos, or from text or `inputs_embeds` alone.

        Takes what `QuicksviewerProcessor` returns and the options of transformers' `generate`. Tokens of `input_ids`
        beyond those that `visual_kind` marks are text that goes on, as when the result is generated from again. An
        `assistant_model` for speculative decoding must be a Quicksviewer too where there are images or videos: it looks
        at them itself and cuts videos as this model does. `draft_embeds` is how the main model hands an assistant its
        merged prompt.

        Returns:
            (B, L + new): the prompt as it was written and the new tokens; with `inputs_embeds` alone (B, new). An
            object with these `sequences` if `return_dict_in_generate`.

        Raises:
            ValueError: inputs that do not belong together, naming them.
        """
        ids = inputs if input_ids is None else input_ids
        options: dict[str, Any] = {"generation_config": generation_config, "logits_processor": logits_processor}
        options |= {"stopping_criteria": stopping_criteria, "assistant_model": assistant_model, "streamer": streamer}
        options |= kwargs
        generate: Any = super().generate  # type: ignore[misc]
        if draft_embeds is not None:  # this is an assistant, and its prompt is merged already
            return generate(ids, attention_mask=attention_mask, **options | {"merged_embeds": draft_embeds})
        pixels = {
            "pixel_values": pixel_values,
            "pixel_values_videos": pixel_values_videos,
            "frame_counts": frame_counts,
        }
        if visual_kind is None or ids is None:
            _refuse_pixels(pixels)
            return generate(ids, attention_mask=attention_mask, **options)
        new = ids.shape[1] - visual_kind.shape[1]  # text that goes on behind the marked prompt
        visual_kind = functional.pad(visual_kind, (0, new), value=VisualKind.TEXT)
        frame_ids = None if frame_ids is None else functional.pad(frame_ids, (0, new), value=-1)
        visual = self.perceive(**pixels)
        plan = self.model.plan(ids, attention_mask, visual_kind, frame_ids, visual, pad_left=True)
        names, mask = plan.names(ids), plan.attention_mask
        if streamer is not None:
            options["streamer"] = _WrittenPrompt(streamer, ids)
        if not len(plan.visual_block):
            return _as_written(generate(_stand_ins(names), attention_mask=mask, **options), ids, plan.length)
        options["merged_embeds"] = self.model.embed(names, visual)
        if assistant_model is not None:
            options["draft_embeds"] = _draft_embeds(assistant_model, names, visual, pixels)
        with _virtual_tokens(self, options, mask) as (mask, virtual):
            stand_ins = _stand_ins(names)
            stand_ins = torch.cat([stand_ins[:, :1].expand(-1, virtual), stand_ins], 1)
            output = generate(stand_ins, attention_mask=mask, **options)
        return _as_written(output, ids, plan.length + virtual)

    def prepare_inputs_for_generation(  # type: ignore[override]
        self,
        input_ids: Tensor,
        *,
        inputs_embeds: Tensor | None = None,
        merged_embeds: Tensor | None = None,
        draft_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Prepare a step as transformers does, with embeddings in place of the stand-ins of the merged prompt.

        `merged_embeds` (B, M, D) is the whole merged prompt; `draft_embeds` is passed on to an assistant model.
        """
        prepare: Any = super().prepare_inputs_for_generation  # type: ignore[misc]
        step: dict[str, Any] = prepare(input_ids, inputs_embeds=inputs_embeds, **kwargs)
        ids = step.get("input_ids")
        if merged_embeds is None or ids is None:
            return step
        read = kwargs.get(CACHE)
        start = 0 if read is None else int(read.get_seq_length())
        prompt = merged_embeds[:, start : start + ids.shape[1]]
        if prompt.shape[1]:
            new = self.get_input_embeddings()(ids[:, prompt.shape[1] :].to(prompt.device))
            step |= {"input_ids": None, "inputs_embeds": torch.cat([prompt, new.to(prompt)], 1)}
        return step


def _refuse_pixels(pixels: Mapping[str, Tensor | None]) -> None:
    for name, value in pixels.items():
        if value is not None:
            raise ValueError(f"generate: {name} needs input_ids and visual_kind; pass all the processor returns")


def _stand_ins(names: Tensor) -> Tensor:
    """Return an id for each merged token (B, M): text its own, visual tokens and padding the first id of their row.

    That id is in the prompt anyway, so what looks at ids (penalties of repetition, say) finds no other tokens.
    """
    is_text = names >= 0
    first = names.gather(1, is_text.long().argmax(1, keepdim=True))
    return torch.where(is_text, names, first)


def _draft_embeds(assistant: Any, names: Tensor, visual: VisualTokens, pixels: Mapping[str, Tensor | None]) -> Tensor:
    """Return the merged prompt as an assistant model sees it, with videos cut as the main model does."""
    if not isinstance(assistant, MergedGenerationMixin):
        raise ValueError(
            f"assistant_model: {type(assistant).__name__} cannot look at images or videos; give a Quicksviewer, or None"
        )
    seen = assistant.perceive(**pixels, starts=visual.starts_T)
    ours, theirs = visual.tiles_PQD.shape[1], seen.tiles_PQD.shape[1]
    thumbnails = len(visual.thumbnails_VQD), len(seen.thumbnails_VQD)
    if ours != theirs or thumbnails[0] != thumbnails[1]:
        raise ValueError(
            f"assistant_model: has {theirs} tokens for each cube and {thumbnails[1]} thumbnails, this model {ours} and "
            f"{thumbnails[0]}; give a Quicksviewer of the same layout"
        )
    embeds: Tensor = assistant.model.embed(names, seen)
    return embeds


@contextmanager
def _virtual_tokens(model: Any, options: dict[str, Any], mask: Tensor) -> Iterator[tuple[Tensor, int]]:
    """Put the virtual tokens of PEFT's prompt learning before the merged prompt; yield mask and number of tokens.

    PEFT puts them in by replacing the model's `prepare_inputs_for_generation`, and expects ids that can be embedded.
    """
    peft_model = getattr(vars(model).get("prepare_inputs_for_generation"), "__self__", model)
    if peft_model is model:
        yield mask, 0
        return
    batch, count = len(mask), peft_model.active_peft_config.num_virtual_tokens
    learned = peft_model.get_prompt(batch_size=batch)
    embeds = options["merged_embeds"]
    if isinstance(learned, Cache):  # prefix tuning
        options[CACHE], learned = learned, embeds.new_zeros(batch, count, embeds.shape[-1])
    options["merged_embeds"] = torch.cat([learned.to(embeds), embeds], 1)
    replaced = vars(model).pop("prepare_inputs_for_generation")
    try:
        yield torch.cat([mask.new_ones(batch, count), mask], 1), count
    finally:
        model.prepare_inputs_for_generation = replaced


def _as_written(output: Any, input_ids: Tensor, merged: int) -> Any:
    """Put the written prompt in place of the merged one."""
    sequences = output["sequences"] if isinstance(output, ModelOutput) else output
    copies = len(sequences) // len(input_ids)
    prompt = input_ids.to(sequences.device).repeat_interleave(copies, 0)
    written = torch.cat([prompt, sequences[:, merged:]], 1)
    if not isinstance(output, ModelOutput):
        return written
    output["sequences"] = written
    return output


class _WrittenPrompt(BaseStreamer):
    """Gives a streamer the prompt as it was written, which comes first, and then the new tokens."""

    def __init__(self, streamer: BaseStreamer, input_ids: Tensor) -> None:
        self._streamer, self._prompt = streamer, input_ids.cpu()
        self._is_first = True

    def put(self, value: Tensor) -> None:
        """Pass on what comes, but for the merged prompt."""
        self._streamer.put(self._prompt if self._is_first else value)
        self._is_first = False

    def end(self) -> None:
        """Pass on the end."""
        self._streamer.end()
