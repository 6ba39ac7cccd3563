"""Generation of replies for batches of prompts, which may share a prefix that was read before.

Questions on the same video have almost all of their prompt in common: the frames, which are thousands of tokens,
against some dozens of words. The common part is read once (`read_prefix`), and every batch continues from a copy of its
cache.
This is exact algebra: a token's keys and values depend on what stands before it only.

Shape legend: B prompts, P tokens of the prefix, L tokens of the longest rest, D language width.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList
from transformers.cache_utils import Cache, DynamicCache
from transformers.generation.streamers import BaseStreamer

from qsv_eval.model_adapters.quicksviewer.library import CACHE
from qsv_eval.model_adapters.quicksviewer.merge_inputs import PADDING
from qsv_eval.model_adapters.quicksviewer.modeling import QuicksviewerForConditionalGeneration
from qsv_eval.model_adapters.quicksviewer.perception import VisualTokens
from qsv_eval.model_adapters.quicksviewer.prompt_tokens import PromptTokens
from qsv_eval.model_adapters.stage_timer import next_stage, stage

__all__ = [
    "NO_PREFIX",
    "ContinuationScore",
    "MergedPrompt",
    "Prefix",
    "ReplyStreamer",
    "common_length",
    "generate",
    "merge_prompt",
    "read_prefix",
    "score",
]


@dataclass(frozen=True)
class MergedPrompt:
    """Prompt of the language model: merged tokens by name (`MergePlan.names`), and the blocks of its visual names."""

    names: Tensor
    """(M,) long, on the CPU."""
    visual: VisualTokens

    def __len__(self) -> int:
        return self.names.shape[0]

    @property
    def visual_tokens(self) -> int:
        """Number of visual tokens in the prompt."""
        return int((self.names < 0).sum())


class Prefix(NamedTuple):
    """The beginning of several prompts, already read."""

    length: int
    cache: Cache | None

    def copies(self, batch: int) -> Cache | None:
        """Return a cache for so many prompts that may be written to."""
        if self.cache is None:
            return None
        copied = copy.deepcopy(self.cache)
        if batch > 1:
            copied.batch_repeat_interleave(batch)
        return copied

    def first(self, length: int) -> "Prefix":
        """Return so many of its tokens, and let go of the others."""
        if self.cache is None or length < 1:
            return NO_PREFIX
        self.cache.crop(length - self.length)  # by how many
        return Prefix(length, self.cache)


NO_PREFIX = Prefix(0, None)


class ContinuationScore(NamedTuple):
    """Likelihood of a given continuation."""

    loss: float
    """Mean negative log-likelihood of its tokens, in nats."""
    is_greedy: bool
    """Whether each of its tokens is the most probable one."""
    tokens: int


def merge_prompt(
    model: QuicksviewerForConditionalGeneration, tokens: PromptTokens, visual: VisualTokens
) -> MergedPrompt:
    """Merge one tokenised prompt with what was seen of its media."""
    ids, kinds, frames = (torch.tensor([row]) for row in tokens)
    plan = model.model.plan(ids, None, kinds, frames, visual)
    return MergedPrompt(plan.names(ids)[0], visual)


def common_length(prompts: Sequence[MergedPrompt]) -> int:
    """Return how many tokens all prompts begin with; at least one of each is left over to go on with.

    Prompts over visual tokens of their own have nothing in common, as equal names may mean different things.
    """
    first = prompts[0]
    if len(prompts) < 2 or any(prompt.visual is not first.visual for prompt in prompts):
        return 0
    shortest = min(map(len, prompts)) - 1
    names = torch.stack([prompt.names[:shortest] for prompt in prompts])
    differing = (names != names[0]).any(0).nonzero()
    return int(differing[0]) if len(differing) else shortest


def read_prefix(
    model: QuicksviewerForConditionalGeneration, prompt: MergedPrompt, length: int, read: Prefix = NO_PREFIX
) -> Prefix:
    """Let the language model read the first tokens of a prompt.

    The prompt begins with the tokens of `read`, which are not read again; its cache goes into the new one.
    """
    if length <= read.length:
        return read
    with stage("prefill"), torch.inference_mode():
        cache = DynamicCache(config=model.config.text_config) if read.cache is None else read.cache
        embeds = model.model.embed(prompt.names[read.length : length].unsqueeze(0), prompt.visual)
        model.model.language_model(inputs_embeds=embeds, use_cache=True, **{CACHE: cache})
        return Prefix(length, cache)


def generate(
    model: QuicksviewerForConditionalGeneration,
    prompts: Sequence[MergedPrompt],
    config: GenerationConfig,
    prefix: Prefix = NO_PREFIX,
    voice: BaseStreamer | None = None,
) -> list[list[int]]:
    """Return the generated ids of each prompt, the end token included; all prompts must begin with `prefix`.

    A single prompt's are given to `voice` one by one as they come, unless there are beams.
    """
    if config.num_beams != 1:
        prefix, voice = NO_PREFIX, None  # beams would have to be copies within the cache, and change their minds
    with stage("prefill"), torch.inference_mode():
        embeds, mask = _rest_embedded(model, prompts, prefix.length)
        options: dict[str, Any] = {} if prefix.cache is None else {CACHE: prefix.copies(len(prompts))}
        ids = model.generate(
            inputs_embeds=embeds,
            attention_mask=mask,
            generation_config=config,
            stopping_criteria=StoppingCriteriaList([_FirstToken()]),
            streamer=voice,
            **options,
        ).tolist()
    eos = config.eos_token_id
    return [row[: row.index(eos) + 1] if eos in row else row for row in ids]


class ReplyStreamer(BaseStreamer):
    """Says a reply piece by piece while it is generated; the pieces together are the reply."""

    def __init__(self, decode: Callable[[Sequence[int]], str], hear: Callable[[str], object]) -> None:
        self._decode, self._hear = decode, hear
        self._ids, self._said = list[int](), 0

    def put(self, value: Tensor) -> None:
        """Take the next id; before the first one `generate` gives the prompt's, which are none beside embeddings."""
        self._ids += value.flatten().tolist()
        text = self._decode(self._ids)
        if not text.endswith("\N{REPLACEMENT CHARACTER}"):  # a character of several tokens is said as a whole
            self.say(text)

    def end(self) -> None:
        """Say what was held back."""
        self.say(self._decode(self._ids))

    def say(self, text: str) -> None:
        """Say what of the reply has not been said."""
        if len(text) > self._said:
            piece, self._said = text[self._said :], len(text)
            self._hear(piece)


class _FirstToken(StoppingCriteria):
    """Never stops anything: it is asked after each token, so the first time the prompt has been read."""

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        next_stage("generation")
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


def score(
    model: QuicksviewerForConditionalGeneration,
    prompts: Sequence[MergedPrompt],
    continuations: Sequence[Sequence[int]],
    prefix: Prefix = NO_PREFIX,
) -> list[ContinuationScore]:
    """Say how probable each prompt's continuation is; a continuation has one token at least."""
    whole = [
        replace(prompt, names=torch.cat([prompt.names, torch.tensor(ids)]))
        for prompt, ids in zip(prompts, continuations, strict=True)
    ]
    with stage("prefill"), torch.inference_mode():
        embeds, mask = _rest_embedded(model, whole, prefix.length)
        positions = mask.cumsum(1).sub(1).clamp(min=0)
        logits_BKV = model(
            inputs_embeds=embeds[:, prefix.length :],
            attention_mask=mask,
            position_ids=positions[:, prefix.length :],
            logits_to_keep=max(map(len, continuations)) + 1,
            **{CACHE: prefix.copies(len(prompts))},
        ).logits
    # Rows are padded at their left, so all continuations end at the last token, whose logits foretell nothing.
    return [
        _score(logits_KV[-len(ids) - 1 : -1].float(), torch.tensor(ids, device=logits_KV.device))
        for logits_KV, ids in zip(logits_BKV, continuations, strict=True)
    ]


def _score(logits_NV: Tensor, ids_N: Tensor) -> ContinuationScore:
    loss = torch.nn.functional.cross_entropy(logits_NV, ids_N)
    return ContinuationScore(float(loss), bool((logits_NV.argmax(-1) == ids_N).all()), len(ids_N))


def _rest_embedded(
    model: QuicksviewerForConditionalGeneration, prompts: Sequence[MergedPrompt], prefix: int
) -> tuple[Tensor, Tensor]:
    """Embed what follows the prefix, padded at the left: (B, P + L, D), zero before it, and the mask (B, P + L).

    The prefix itself stays empty: `generate` takes the whole length and looks only at what its cache does not hold.
    """
    rests = [prompt.names[prefix:] for prompt in prompts]
    longest = max(map(len, rests))
    names = torch.full((len(prompts), longest), PADDING)
    for row, rest in zip(names, rests, strict=True):
        row[longest - len(rest) :] = rest
    if all(prompt.visual is prompts[0].visual for prompt in prompts):
        embeds = model.model.embed(names, prompts[0].visual)
    else:
        embeds = torch.cat(
            [model.model.embed(row.unsqueeze(0), prompt.visual) for row, prompt in zip(names, prompts, strict=True)]
        )
    mask = (names != PADDING).long().to(embeds.device)
    read = mask.new_ones(len(prompts), prefix)
    if prefix:
        embeds = torch.cat([embeds.new_zeros(len(prompts), prefix, embeds.shape[-1]), embeds], 1)
    return embeds, torch.cat([read, mask], 1)
