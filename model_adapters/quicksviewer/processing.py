"""The processor: conversations in chat form to the model's inputs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import AutoTokenizer, BatchFeature, PreTrainedTokenizerBase, ProcessorMixin
from transformers.utils import cached_file
from transformers.utils.chat_template_utils import render_jinja_template

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.quicksviewer.configuration import PLACE
from qsv_eval.model_adapters.quicksviewer.pixels import QuicksviewerImageProcessor, QuicksviewerVideoProcessor
from qsv_eval.model_adapters.quicksviewer.prompt import (
    PLACEHOLDER,
    PromptTokens,
    escape,
    image_markup,
    learned_tokens,
    special_tokens,
    template_for,
    tokenize_prompt,
    unescape,
    video_markup,
)

__all__ = [
    "Conversation",
    "Message",
    "QuicksviewerProcessor",
    "SeenImage",
    "SeenVideo",
    "Video",
    "media_of",
    "pad_rows",
    "parts_of",
]

Message = Mapping[str, Any]
Conversation = Sequence[Message]


class Video(NamedTuple):
    """A video whose frames have been read."""

    frames_THWC: np.ndarray
    """uint8 (T, H, W, 3), any size."""
    timestamps_s: Sequence[float] | None = None
    """Time of each frame, or None to leave times out of the prompt."""
    end_s: float | None = None
    """Where the clip ends."""
    lost_frames: int = 0
    """Frames that were wanted and could not be decoded."""

    def without_pixels(self) -> "SeenVideo":
        """Return what is left of it once its frames were seen."""
        return SeenVideo(len(self.frames_THWC), self.timestamps_s, self.end_s, self.lost_frames)


class SeenVideo(NamedTuple):
    """What text and report need of a video; see `Video`."""

    frames: int
    timestamps_s: Sequence[float] | None = None
    end_s: float | None = None
    lost_frames: int = 0


class SeenImage(NamedTuple):
    """What the text needs of an image."""

    tiles: int


class Rendered(NamedTuple):
    """A conversation as text, special tokens that a user typed still broken (`prompt.escape`)."""

    text: str
    spoken: list[tuple[int, int]]
    """Where the assistant's words are, their end token included."""


class QuicksviewerProcessor(ProcessorMixin):
    """Tokenizer, chat template, and image and video processors in one.

    Conversations are lists of messages `{"role": …, "content": text | [part, …]}`; a part is `{"type": "text", "text":
    …}`, `{"type": "image", "image": PIL image}` or `{"type": "video", "video": Video}`. Newlines join the parts, or
    nothing in a message that says `"glued": True`. Files are read one floor up, by `Quicksviewer.chat` and by the
    engine. For the text alone, `SeenImage` and `SeenVideo` will do.
    """

    def __init__(
        self,
        image_processor: QuicksviewerImageProcessor,
        tokenizer: PreTrainedTokenizerBase,
        video_processor: QuicksviewerVideoProcessor,
        chat_template: str | None = None,
        thumbnail: bool = True,
    ) -> None:
        if PLACEHOLDER not in tokenizer.get_vocab():
            tokenizer.add_tokens([PLACEHOLDER], special_tokens=True)
        self.thumbnail = thumbnail
        self.image_token_id = tokenizer.convert_tokens_to_ids(PLACEHOLDER)
        template = chat_template or template_for(tokenizer)
        super().__init__(image_processor, tokenizer, video_processor, chat_template=template)

    @classmethod
    def _get_arguments_from_pretrained(
        cls, pretrained_model_name_or_path: Any, processor_dict: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[Any]:
        """Build the parts; released checkpoints have SigLIP's preprocessor_config.json at most, with the size."""
        tokenizer = AutoTokenizer.from_pretrained(pretrained_model_name_or_path, **kwargs)
        saved = processor_dict or {}
        if "image_processor" in saved:
            image, video = dict(saved["image_processor"]), dict(saved["video_processor"])
        else:
            found = cached_file(
                pretrained_model_name_or_path,
                "preprocessor_config.json",
                **{key: value for key, value in kwargs.items() if key in PLACE},
                _raise_exceptions_for_missing_entries=False,
            )
            siglip = json.loads(Path(found).read_text()) if found else {}
            side = siglip.get("size", {}).get("height", 384)
            image, video = {"tile_size": side}, {"frame_size": side}
        image.pop("image_processor_type", None)
        video.pop("video_processor_type", None)
        return [QuicksviewerImageProcessor(**image), tokenizer, QuicksviewerVideoProcessor(**video)]

    @property
    def model_input_names(self) -> list[str]:
        """Names of what a batch holds."""
        pixels = [*self.image_processor.model_input_names, *self.video_processor.model_input_names]
        return ["input_ids", "attention_mask", "visual_kind", "frame_ids", *pixels]

    def __call__(self, conversations: Sequence[Conversation], *, add_generation_prompt: bool = True) -> BatchFeature:
        """Turn conversations into a batch for the model.

        Returns:
            `input_ids`, `attention_mask`, `visual_kind`, `frame_ids` (B, L), padded at the right; and where there are
            images or videos `pixel_values` with `tile_counts`, `pixel_values_videos` with `frame_counts`.
        """
        images = [image for conversation in conversations for image in media_of(conversation, "image")]
        videos = [video for conversation in conversations for video in media_of(conversation, "video")]
        batch = BatchFeature()
        if images:
            batch.update(self.image_processor.preprocess(images))
        if videos:
            batch.update(self.video_processor.preprocess([video.frames_THWC for video in videos]))
        rows, frames = [], 0
        for conversation in map(self.without_pixels, conversations):
            tokens = self.tokens(conversation, add_generation_prompt=add_generation_prompt)
            rows.append(tokens._replace(frame_ids=[id_ + frames if id_ >= 0 else -1 for id_ in tokens.frame_ids]))
            frames += sum(video.frames for video in media_of(conversation, "video"))
        batch.update(pad_rows(rows, self.tokenizer.pad_token_id or 0))
        return batch

    def without_pixels(self, conversation: Conversation) -> list[dict[str, Any]]:
        """Return the conversation with its media as `SeenImage` and `SeenVideo`."""

        def seen(part: Mapping[str, Any]) -> dict[str, Any]:
            if part["type"] == "image" and not isinstance(part["image"], SeenImage):
                return {"type": "image", "image": SeenImage(self.image_processor.tile_count(part["image"]))}
            if part["type"] == "video" and not isinstance(part["video"], SeenVideo):
                return {"type": "video", "video": part["video"].without_pixels()}
            return dict(part)

        return [{**message, "content": [seen(part) for part in parts_of(message)]} for message in conversation]

    def tokens(self, conversation: Conversation, *, add_generation_prompt: bool = True) -> PromptTokens:
        """Return the tokens of a conversation, with every frame and before the cubes are merged."""
        rendered = self._render(conversation, add_generation_prompt=add_generation_prompt)
        return tokenize_prompt(rendered.text, self.tokenizer)

    def learning_tokens(self, conversation: Conversation) -> tuple[PromptTokens, list[bool]]:
        """Return a whole conversation's tokens, and which of them the assistant says: what training learns from.

        The chat template marks them by `{% generation %}`; the end token belongs to them.
        """
        rendered = self._render(conversation, find_spoken=True)
        learned = learned_tokens(rendered.text, rendered.spoken, self.tokenizer)
        return tokenize_prompt(rendered.text, self.tokenizer), learned

    def prompt(self, conversation: Conversation, *, add_generation_prompt: bool = True) -> str:
        """Return the prompt as text, with every frame and before the cubes are merged."""
        return unescape(self._render(conversation, add_generation_prompt=add_generation_prompt).text)

    def apply_chat_template(  # type: ignore[override]
        self,
        conversation: Conversation | Sequence[Conversation],
        *,
        add_generation_prompt: bool = False,
        tokenize: bool = False,
        **_: Any,
    ) -> Any:
        """Render one or several conversations, as text or (`tokenize`) as a batch; transformers' usual entry."""
        single = bool(conversation) and isinstance(conversation[0], Mapping)
        conversations: Any = [conversation] if single else conversation
        if tokenize:
            return self(conversations, add_generation_prompt=add_generation_prompt)
        texts = [self.prompt(one, add_generation_prompt=add_generation_prompt) for one in conversations]
        return texts[0] if single else texts

    def decode_reply(self, token_ids: Sequence[int]) -> str:
        """Return generated tokens as text: without padding, the closing end token and outer white space."""
        ids = list(token_ids)
        eos = self.tokenizer.eos_token_id
        if eos in ids:
            ids = ids[: ids.index(eos)]
        return self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False).strip()

    def _render(
        self, conversation: Conversation, *, add_generation_prompt: bool = False, find_spoken: bool = False
    ) -> Rendered:
        specials = special_tokens(self.tokenizer)
        messages = [
            {"role": message["role"], "content": self._text_parts(message, specials)}
            for message in self.without_pixels(conversation)
        ]
        template: Any = self.chat_template
        rendered: Any = render_jinja_template(
            [messages],
            chat_template=template,
            add_generation_prompt=add_generation_prompt,
            return_assistant_tokens_mask=find_spoken,
        )
        texts, spoken = rendered
        return Rendered(texts[0], spoken[0] if find_spoken else [])

    def _text_parts(self, message: Message, specials: Sequence[str]) -> list[dict[str, str]]:
        parts = [self._text_part(part, specials) for part in message["content"]]
        if not message.get("glued") or not parts:
            return parts
        kinds = {part["type"] for part in parts}
        kind = next(iter(kinds - {"text"}), "text")
        return [{"type": kind, "text": "".join(part["text"] for part in parts)}]

    def _text_part(self, part: Mapping[str, Any], specials: Sequence[str]) -> dict[str, str]:
        kind, content = part["type"], part[part["type"]]
        if isinstance(content, SeenImage):
            text = image_markup(content.tiles)
        elif isinstance(content, SeenVideo):
            text = video_markup(content.frames, content.timestamps_s, thumbnail=self.thumbnail)
        else:
            text = escape(content, specials)
        return {"type": kind, "text": text}


_ROLES = ("system", "user", "assistant")
_PART_KINDS = ("text", "image", "video")


def parts_of(message: Message) -> list[Mapping[str, Any]]:
    """Return a message's parts, and check their form; a message of plain text has one."""
    if not isinstance(message, Mapping) or not {"role", "content"} <= message.keys():
        raise SetupError(f'message: {_short(message)} is not of the form {{"role": …, "content": text | [part, …]}}')
    if message["role"] not in _ROLES:
        raise SetupError(f"message: the role is {message['role']!r}; use one of {', '.join(_ROLES)}")
    content = message["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(parts, Sequence):
        raise SetupError(f"message: the content is {_short(content)}; it must be a text or a list of parts")
    for part in parts:
        _check_part(part)
    return list(parts)


def _check_part(part: Any) -> None:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind not in _PART_KINDS:
        raise SetupError(f"message part: the type of {_short(part)} is {kind!r}; only text, image and video are known")
    if kind not in part:
        raise SetupError(f'message part: {_short(part)} is of type {kind!r} but has no "{kind}"')
    if kind == "text" and not isinstance(part["text"], str):
        raise SetupError(f"message part: the text is {_short(part['text'])}, not a string")
    if isinstance(part[kind], bool | int | float | Mapping) or part[kind] is None:
        raise SetupError(f"message part: the {kind} is {_short(part[kind])}; give a path, an array or a PIL image")
    for bound in ("start_s", "end_s"):
        if not isinstance(part.get(bound), int | float | None):
            raise SetupError(f"message part: {bound} is {_short(part[bound])}, not a number of seconds")


def _short(value: Any) -> str:
    """Name a value in an error: what it holds if it is a dictionary, never the pixels in it."""
    return f"a dictionary of {sorted(map(str, value))}" if isinstance(value, Mapping) else f"a {type(value).__name__}"


def media_of(conversation: Conversation, kind: str) -> list[Any]:
    """Return a conversation's images or videos, in order."""
    return [part[kind] for message in conversation for part in parts_of(message) if part["type"] == kind]


def pad_rows(rows: Sequence[PromptTokens], pad_id: int) -> dict[str, torch.Tensor]:
    """Pad rows at the right; the mask, never the pad token, says where a row ends."""

    def padded(lists: Sequence[list[int]], fill: int) -> torch.Tensor:
        tensors = [torch.tensor(row) for row in lists]
        return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=fill)

    return {
        "input_ids": padded([row.input_ids for row in rows], pad_id),
        "attention_mask": padded([[1] * len(row.input_ids) for row in rows], 0),
        "visual_kind": padded([row.visual_kind for row in rows], 0),
        "frame_ids": padded([row.frame_ids for row in rows], -1),
    }
