"""The text around the visual tokens: chat templates, media markup, and tokens that know which frame they belong to.

Spec model.md, section 2.6: the strings are the reference's, byte for byte.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from transformers import PreTrainedTokenizerBase

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.quicksviewer.merge_inputs import VisualKind

__all__ = [
    "LLAMA_TEMPLATE",
    "MARKS",
    "PLACEHOLDER",
    "QWEN_TEMPLATE",
    "VISION_TOKENS",
    "ExpandedPrompt",
    "PromptTokens",
    "Replacement",
    "escape",
    "expand",
    "image_markup",
    "loss_mask",
    "special_tokens",
    "template_for",
    "tokenize_prompt",
    "unescape",
    "video_markup",
]

PLACEHOLDER = "<image>"
VISION_TOKENS = (
    *("<patch_start>", "<patch_end>", "<video_start>", "<video_end>"),
    *("<im_start>", "<im_end>", "<thumbnail_start>", "<thumbnail_end>"),
)
"""The reference's added tokens, in its order."""
MARKS = {"image": PLACEHOLDER, "video": "<video>"}
"""Marks of whole images and videos in a rendered chat, until `expand` writes their markup."""

# A message is the list of its parts, joined by newlines; a message with media is stripped as a whole.
_CONTENT = """
{%- macro content(message) -%}
  {%- if message.content is string -%}{{ message.content }}
  {%- else -%}
    {%- set parts -%}
      {%- for part in message.content -%}
        {{- "" if loop.first else "\\n" -}}
        {{- part.text if part.text is string else "<" ~ part.type ~ ">" -}}
      {%- endfor -%}
    {%- endset -%}
    {%- if message.content | rejectattr("type", "equalto", "text") | list -%}{{ parts | trim }}
    {%- else -%}{{ parts }}{%- endif -%}
  {%- endif -%}
{%- endmacro -%}
"""
QWEN_TEMPLATE = (
    _CONTENT
    + """
{%- for message in messages -%}
  {{ "<|im_start|>" + message.role + "\\n" }}
  {%- if message.role == "assistant" -%}
    {%- generation -%}{{ content(message) + "<|im_end|>\\n" }}{%- endgeneration -%}
  {%- else -%}{{ content(message) + "<|im_end|>\\n" }}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ "<|im_start|>assistant\\n" }}{%- endif -%}
"""
)
# The reference was trained with the role name "system" in the header of the assistant's turns.
LLAMA_TEMPLATE = (
    _CONTENT
    + """
{%- for message in messages -%}
  {%- set role = "system" if message.role == "assistant" else message.role -%}
  {{ "<|start_header_id|>" + role + "<|end_header_id|>\\n\\n" }}
  {%- if message.role == "assistant" -%}
    {%- generation -%}{{ content(message) + "<|eot_id|>" }}{%- endgeneration -%}
  {%- else -%}{{ content(message) + "<|eot_id|>" }}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ "<|start_header_id|>system<|end_header_id|>\\n\\n" }}{%- endif -%}
"""
)


def template_for(tokenizer: PreTrainedTokenizerBase) -> str:
    """Choose the chat template by the special tokens that the tokenizer knows."""
    vocabulary = tokenizer.get_vocab()
    if "<|start_header_id|>" in vocabulary:
        return LLAMA_TEMPLATE
    if "<|im_start|>" in vocabulary:
        return QWEN_TEMPLATE
    raise SetupError("tokenizer: neither Qwen's <|im_start|> nor Llama's <|start_header_id|> is in its vocabulary")


def image_markup(tiles: int) -> str:
    """Return the text of an image of so many tiles."""
    return "<im_start>" + f"<patch_start>{PLACEHOLDER}<patch_end>" * tiles + "<im_end>"


def video_markup(frames: int, timestamps_s: Sequence[float] | None, *, thumbnail: bool = True) -> str:
    """Return the text of a video: the thumbnail, and every frame behind its time in seconds, rounded to 0.1."""
    times = [""] * frames if timestamps_s is None else [str(round(float(time), 1)) for time in timestamps_s]
    if len(times) != frames:
        raise SetupError(f"video: {len(times)} timestamps for {frames} frames; give one for each frame, or none")
    head = f"<thumbnail_start>{PLACEHOLDER}<thumbnail_end>" if thumbnail else ""
    return "<video_start>" + head + "".join(time + PLACEHOLDER for time in times) + "<video_end>"


# Special tokens that a user types must stay text. They are broken by this private character while the template is
# rendered, so that only the template's and the markup's own are found.
_SEAM = "\ue000"


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return every special token of the tokenizer, longest first."""
    tokens = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    return sorted(tokens, key=len, reverse=True)


def escape(text: str, specials: Sequence[str]) -> str:
    """Break the special tokens in a user's text."""
    if not specials:
        return text
    return re.sub("|".join(map(re.escape, specials)), lambda found: found[0][0] + _SEAM + found[0][1:], text)


def unescape(text: str) -> str:
    """Undo `escape`."""
    return text.replace(_SEAM, "")


class Replacement(NamedTuple):
    """A mark in a rendered chat, and the markup that replaced it; character positions, half-open."""

    kind: str
    start: int
    end: int
    new_start: int
    markup: str

    @property
    def new_end(self) -> int:
        """End of the markup in the expanded text."""
        return self.new_start + len(self.markup)

    def offsets(self) -> dict[str, Any]:
        """Return it in the form of transformers' `text_replacement_offsets`."""
        return {
            "type": self.kind,
            "span": (self.start, self.end),
            "new_span": (self.new_start, self.new_end),
            "text": MARKS[self.kind],
            "replacement": self.markup,
        }


class ExpandedPrompt(NamedTuple):
    """A rendered chat with the markup of its media."""

    text: str
    replacements: list[Replacement]

    def moved(self, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the spans of the rendered chat as spans of the expanded one."""
        ends = [replaced.end for replaced in self.replacements]
        gained = [0, *(replaced.new_end - replaced.end for replaced in self.replacements)]
        return [
            (first + gained[bisect_right(ends, first)], end + gained[bisect_right(ends, end)]) for first, end in spans
        ]


def expand(rendered: str, markups: Mapping[str, Iterator[str]]) -> ExpandedPrompt:
    """Replace each mark by the next markup of its kind. There must be enough of them."""
    replacements = list[Replacement]()
    kinds = {mark: kind for kind, mark in MARKS.items()}
    gained = 0

    def replace(found: re.Match[str]) -> str:
        nonlocal gained
        kind = kinds[found[0]]
        replacement = Replacement(kind, *found.span(), found.start() + gained, next(markups[kind]))
        replacements.append(replacement)
        gained = replacement.new_end - replacement.end
        return replacement.markup

    return ExpandedPrompt(re.sub("|".join(map(re.escape, kinds)), replace, rendered), replacements)


class PromptTokens(NamedTuple):
    """A tokenised prompt, before the cubes are merged; parallel lists."""

    input_ids: list[int]
    visual_kind: list[int]
    frame_ids: list[int]
    """Frame of each token, counted over the prompt's videos; -1 outside of frames."""

    def media_types(self, placeholder_id: int) -> list[int]:
        """Return transformers' `mm_token_type_ids`: 1 at placeholders of images, 2 at those of videos, 0 elsewhere."""
        return [
            0 if id_ != placeholder_id else 1 if kind == VisualKind.TILE else 2
            for id_, kind in zip(self.input_ids, self.visual_kind, strict=True)
        ]


def tokenize_prompt(rendered: str, tokenizer: PreTrainedTokenizerBase, *, add_bos: bool = True) -> PromptTokens:
    """Tokenise a rendered, still escaped prompt: each piece between special tokens by itself, as the reference does."""
    pieces, encoded = _encode(rendered, tokenizer)
    ids = [piece.ids for piece in encoded]
    prefix = _prefix(tokenizer, ids) if add_bos else []
    return _label(pieces, ids, PromptTokens(list(prefix), [VisualKind.TEXT] * len(prefix), [-1] * len(prefix)))


def loss_mask(
    rendered: str, spans: Sequence[tuple[int, int]], tokenizer: PreTrainedTokenizerBase, *, add_bos: bool = True
) -> list[bool]:
    """Say for each token of `tokenize_prompt` whether it begins within one of the spans of `rendered`."""
    pieces, encoded = _encode(rendered, tokenizer, offsets=True)
    learned = [False] * (len(_prefix(tokenizer, [piece.ids for piece in encoded])) if add_bos else 0)
    begin = 0
    for piece, (_, starts) in zip(pieces, encoded, strict=True):
        letters = [place for place, letter in enumerate(piece) if letter != _SEAM]
        places = [begin + letters[start] for start in starts]
        learned += [any(first <= place < end for first, end in spans) for place in places]
        begin += len(piece)
    return learned


class _Piece(NamedTuple):
    ids: list[int]
    starts: list[int]
    """Start of each token in the unescaped piece; empty unless asked for."""


def _encode(
    rendered: str, tokenizer: PreTrainedTokenizerBase, *, offsets: bool = False
) -> tuple[list[str], list[_Piece]]:
    """Split at the special tokens and tokenise every piece."""
    pattern = "(" + "|".join(map(re.escape, special_tokens(tokenizer))) + ")"
    pieces = [piece for piece in re.split(pattern, rendered) if piece]
    marks = {piece for piece in pieces if re.fullmatch(pattern, piece)}
    known: dict[str, Any] = {mark: tokenizer.convert_tokens_to_ids(mark) for mark in marks}
    plain = [unescape(piece) for piece in pieces if piece not in known]
    found: list[_Piece] = []
    if plain:
        batch = tokenizer(plain, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=offsets)
        mapping = batch["offset_mapping"] if offsets else [[] for _ in plain]
        found = [_Piece(ids, [start for start, _ in of]) for ids, of in zip(batch["input_ids"], mapping, strict=True)]
    rest = iter(found)
    return pieces, [_Piece([known[piece]], [0]) if piece in known else next(rest) for piece in pieces]


def _prefix(tokenizer: PreTrainedTokenizerBase, ids: Sequence[list[int]]) -> list[int]:
    """Return the BOS token of a tokenizer that adds one, unless the prompt has it already."""
    prefix: list[int] = tokenizer("").input_ids
    return [] if ids and prefix and ids[0] == prefix[:1] else prefix


def _label(pieces: Iterable[str], ids: Iterable[list[int]], tokens: PromptTokens) -> PromptTokens:
    """Say of each piece what it belongs to; the markup's start and end tokens tell."""
    place, frame = VisualKind.TEXT, 0
    inside = {
        "<patch_start>": VisualKind.TILE,
        "<patch_end>": VisualKind.TEXT,
        "<video_start>": VisualKind.FRAME,
        "<thumbnail_start>": VisualKind.THUMBNAIL,
        "<thumbnail_end>": VisualKind.FRAME,
        "<video_end>": VisualKind.TEXT,
    }
    for piece, piece_ids in zip(pieces, ids, strict=True):
        if piece in inside:
            place, kind = inside[piece], VisualKind.TEXT
        else:
            kind = place
        in_frame = kind == VisualKind.FRAME
        tokens.input_ids.extend(piece_ids)
        tokens.visual_kind.extend([kind] * len(piece_ids))
        tokens.frame_ids.extend([frame if in_frame else -1] * len(piece_ids))
        frame += in_frame and piece == PLACEHOLDER
    return tokens
