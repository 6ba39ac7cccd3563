"""Conversations in chat form: messages, their parts, and the media that the parts hold."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from qsv_eval.model_adapters.errors import InputError, SetupError

__all__ = [
    "Conversation",
    "Conversations",
    "DecodedImage",
    "DecodedVideo",
    "Message",
    "VideoInput",
    "conversations_of",
    "media_of",
    "parts_of",
]

Message = Mapping[str, Any]
Conversation = Sequence[Message]


class VideoInput(NamedTuple):
    """A video whose frames have been read."""

    frames_THWC: np.ndarray
    """uint8 (T, H, W, 3), any size."""
    timestamps_s: Sequence[float] | None = None
    """Time of each frame, or None to leave times out of the prompt."""
    end_s: float | None = None
    """End of the clip, in seconds."""
    lost_frames: int = 0
    """Frames that were wanted and could not be decoded."""

    def without_pixels(self) -> "DecodedVideo":
        """Return what is left of it once its frames were seen."""
        return DecodedVideo(len(self.frames_THWC), self.timestamps_s, self.end_s, self.lost_frames)


class DecodedVideo(NamedTuple):
    """Facts of a video that text and report need; see `VideoInput`."""

    frames: int
    timestamps_s: Sequence[float] | None = None
    end_s: float | None = None
    lost_frames: int = 0


class DecodedImage(NamedTuple):
    """Facts of an image that the text needs."""

    tiles: int


class Conversations(NamedTuple):
    """Conversations, and whether a single one was given without a list around it."""

    items: list[Conversation]
    single: bool


def conversations_of(given: Conversation | Sequence[Conversation]) -> Conversations:
    """Return one or several conversations as a list."""
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise InputError(f"conversation: {_short(given)} is no list of messages, or an empty one")
    single = isinstance(given[0], Mapping)
    items: list[Any] = [given] if single else list(given)
    for item in items:
        if not isinstance(item, Sequence) or isinstance(item, str) or not item:
            raise InputError(f"conversation: {_short(item)} is no list of messages, or an empty one")
    return Conversations(items, single)


_ROLES = ("system", "user", "assistant")
_SOURCES = {"text": ("text",), "image": ("image", "url", "path", "base64"), "video": ("video", "url", "path")}
"""Keys that may hold the content of a part, as in the chats of transformers."""
_DETAILS = {"text": (), "image": (), "video": ("timestamps", "start_s", "end_s")}


def parts_of(message: Message, *, placeholders: bool = False) -> list[Mapping[str, Any]]:
    """Return a message's parts, checked, each with its content under the name of its type.

    A message of plain text has one part. With `placeholders`, parts of images and videos may come without content.
    """
    if not isinstance(message, Mapping) or not {"role", "content"} <= message.keys():
        raise SetupError(f'message: {_short(message)} is not of the form {{"role": …, "content": text | [part, …]}}')
    if message["role"] not in _ROLES:
        raise SetupError(f"message: the role is {message['role']!r}; use one of {', '.join(_ROLES)}")
    content = message["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(parts, Sequence):
        raise SetupError(f"message: the content is {_short(content)}; it must be a text or a list of parts")
    return [_checked(part, placeholders=placeholders) for part in parts]


def media_of(conversation: Conversation, kind: str) -> list[Any]:
    """Return a conversation's images or videos, in order."""
    return [part[kind] for message in conversation for part in parts_of(message) if part["type"] == kind]


def _checked(part: Any, *, placeholders: bool) -> Mapping[str, Any]:
    """Return a part as `{"type": kind, kind: content, …}`; keys whose value is None count as absent."""
    if isinstance(part, Mapping):
        part = _without_image_url({key: value for key, value in part.items() if value is not None})
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind not in _SOURCES:
        raise SetupError(f"message part: the type of {_short(part)} is {kind!r}; only text, image and video are known")
    for key in part.keys() - {"type", *_SOURCES[kind], *_DETAILS[kind]}:
        known = ", ".join((*_SOURCES[kind], *_DETAILS[kind]))
        raise SetupError(f"message part: the key {key!r} of {_short(part)} is not known; {kind} takes {known}")
    given = [key for key in _SOURCES[kind] if key in part]
    if len(given) > 1:
        raise SetupError(f"message part: {_short(part)} has both {given[0]!r} and {given[1]!r}; give one of them")
    if not given and not placeholders:
        raise SetupError(f'message part: {_short(part)} is of type {kind!r} but has no "{kind}"')
    checked = {"type": kind, **{key: part[key] for key in _DETAILS[kind] if key in part}}
    if given:
        checked[kind] = _decoded(part[given[0]]) if given[0] == "base64" else part[given[0]]
        _check_content(kind, checked[kind])
    for bound in ("start_s", "end_s"):
        if not isinstance(part.get(bound), int | float | None):
            raise SetupError(f"message part: {bound} is {_short(part[bound])}, not a number of seconds")
    return checked


def _check_content(kind: str, content: Any) -> None:
    if kind == "text" and not isinstance(content, str):
        raise SetupError(f"message part: the text is {_short(content)}, not a string")
    if isinstance(content, bool | int | float | Mapping):
        raise SetupError(f"message part: the {kind} is {_short(content)}; give a path, an array or a PIL image")


def _without_image_url(part: dict[str, Any]) -> dict[str, Any]:
    """Turn the image part of OpenAI's chats into one of transformers' chats."""
    if part.get("type") != "image_url" or "image_url" not in part:
        return part
    url = part["image_url"]
    return {"type": "image", "url": url.get("url") if isinstance(url, Mapping) else url}


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise SetupError(f"message part: the base64 is not the encoding of a file: {error}") from error


def _short(value: Any) -> str:
    """Name a value in an error: the keys of a dictionary, never the pixels in it."""
    return f"a dictionary of {sorted(map(str, value))}" if isinstance(value, Mapping) else f"a {type(value).__name__}"
