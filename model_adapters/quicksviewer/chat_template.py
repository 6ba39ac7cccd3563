"""Chats and texts before their media are written out: `<image>` and `<video>` stand for whole images and videos."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from transformers import PreTrainedTokenizerBase
from transformers.utils.chat_template_utils import render_jinja_template

from qsv_eval.model_adapters.errors import InputError
from qsv_eval.model_adapters.quicksviewer.messages import Conversation, Message, parts_of
from qsv_eval.model_adapters.quicksviewer.prompt_tokens import MARKS, VISION_TOKENS, escape, special_tokens

__all__ = ["ChatTemplate", "RenderedChat", "check_marks", "check_nesting", "texts_of"]


class RenderedChat(NamedTuple):
    """A conversation as text, special tokens that a user typed still broken (`prompt.escape`)."""

    text: str
    spoken: list[tuple[int, int]]
    """Character spans of the assistant's words, their end tokens included."""


@dataclass(frozen=True)
class ChatTemplate:
    """A chat template and the tokenizer whose special tokens it writes."""

    source: str
    tokenizer: PreTrainedTokenizerBase

    @classmethod
    def of(
        cls, own: str | Mapping[str, str] | None, asked: str | None, tokenizer: PreTrainedTokenizerBase
    ) -> "ChatTemplate":
        """Return the asked template, or the processor's own; both may be one of several by name."""
        templates = own if isinstance(own, Mapping) else {}
        source = templates.get(asked or "default", asked) if templates else asked or own
        if not isinstance(source, str):
            names = ", ".join(templates) or "none"
            raise InputError(f"chat_template: there is no default template; name one of the processor's: {names}")
        return cls(source, tokenizer)

    def mentions(self, name: str) -> bool:
        """Say whether the template knows a variable."""
        return re.search(rf"\b{re.escape(name)}\b", self.source) is not None

    def render(
        self,
        conversation: Conversation,
        *,
        tools: Sequence[Any] | None = None,
        documents: Sequence[Mapping[str, str]] | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool | str = False,
        find_spoken: bool = False,
        placeholders: bool = False,
        variables: Mapping[str, Any] | None = None,
    ) -> RenderedChat:
        """Write a conversation as text; see `QuicksviewerProcessor.apply_chat_template`."""
        for name, value in (("tools", tools), ("documents", documents)):
            if value and not self.mentions(name):
                raise InputError(
                    f"apply_chat_template: the chat template takes no {name}; pass one that does, or leave out"
                )
        if continue_final_message and (add_generation_prompt or find_spoken):
            other = "add_generation_prompt" if add_generation_prompt else "return_assistant_tokens_mask"
            raise InputError(f"apply_chat_template: continue_final_message and {other} exclude each other")
        if find_spoken and not re.search(r"\{%-?\s*generation\s*-?%\}", self.source):
            raise InputError(
                "return_assistant_tokens_mask: the chat template does not mark what is said by {% generation %}"
            )
        specials = [*special_tokens(self.tokenizer), MARKS["video"]]
        messages = [self._message(message, specials, placeholders=placeholders) for message in conversation]
        given: Any = {
            "tools": tools,
            "documents": documents,
            **self.tokenizer.special_tokens_map,
            **{f"{kind}_token": mark for kind, mark in MARKS.items()},
            **(variables or {}),
        }
        rendered: Any = render_jinja_template(
            [messages],
            chat_template=self.source,
            return_assistant_tokens_mask=find_spoken,
            continue_final_message=continue_final_message,
            add_generation_prompt=add_generation_prompt,
            **given,
        )
        texts, spoken = rendered
        return RenderedChat(texts[0], spoken[0] if find_spoken else [])

    def _message(self, message: Message, specials: Sequence[str], *, placeholders: bool) -> dict[str, Any]:
        """Return a message whose parts are texts; keys beside role and content must be known to the template."""
        parts = [
            {"type": part["type"], "text": MARKS.get(part["type"]) or escape(part["text"], specials)}
            for part in parts_of(message, placeholders=placeholders)
        ]
        if message.get("glued") and parts:
            kinds = {part["type"] for part in parts}
            kind = next(iter(kinds - {"text"}), "text")
            parts = [{"type": kind, "text": "".join(part["text"] for part in parts)}]
        others = {
            key: value
            for key, value in message.items()
            if key not in ("role", "content", "glued") and value is not None
        }
        for key in others:
            if not self.mentions(key):
                raise InputError(
                    f"message: the chat template takes no {key!r}; leave it out, or pass a template that does"
                )
        return {"role": message["role"], "content": parts, **others}


def texts_of(text: str | Sequence[str] | None, images: Any) -> list[str]:
    """Return one or several texts as a list, checked."""
    first = images[0] if isinstance(images, list | tuple) and images else None
    if isinstance(first, list | tuple) and first:
        first = first[0]
    if isinstance(first, Mapping):
        raise InputError(
            "processor: conversations stand for images; use apply_chat_template(…, tokenize=True, return_dict=True)"
        )
    if text is None:
        raise InputError(
            "processor: text is missing; images and videos need one with <image> and <video> in their places"
        )
    texts = [text] if isinstance(text, str) else text
    if not isinstance(texts, Sequence) or not texts or not all(isinstance(one, str) for one in texts):
        raise InputError("processor: text must be a string or a list of strings, at least one")
    for token in VISION_TOKENS:
        if any(token in one for one in texts):
            raise InputError(f"text: {token} is written around media by the processor; write <image> or <video> alone")
    return list(texts)


def check_marks(texts: Sequence[str], kind: str, total: int) -> None:
    """Raise InputError unless the texts have one mark for each image or video."""
    mark, marks = MARKS[kind], sum(text.count(MARKS[kind]) for text in texts)
    if marks != total:
        raise InputError(
            f"The number of {mark} tokens in the prompts should be the same as the number of {kind}s: {marks} and "
            f'{total} were given. In a chat, write {{"type": "{kind}"}} parts; a typed {mark} is text there.'
        )


def check_nesting(texts: Sequence[str], kind: str, media: Any, flat: Callable[[Any], list[Any]]) -> None:
    """Raise InputError if media come in one list for each text, and a text has another number of marks."""
    if not isinstance(media, list | tuple) or len(media) != len(texts):
        return
    mark, groups = MARKS[kind], [flat(item) for item in media]
    if any(one is item for group, item in zip(groups, media, strict=True) for one in group):
        return  # a flat list, whose order is that of the marks
    for number, (text, group) in enumerate(zip(texts, groups, strict=True)):
        if text.count(mark) != len(group):
            raise InputError(
                f"text {number} has {text.count(mark)} {mark}, but {len(group)} {kind}s are given for it; the number "
                f"of {mark} tokens in the prompts should be the same as the number of {kind}s"
            )
