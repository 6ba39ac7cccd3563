"""Requests to the engine as plain data, made from lmms-eval's chat messages and media lists."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.frames import FrameRule

__all__ = [
    "GenerationSettings",
    "ImageInMemory",
    "Request",
    "RequestKind",
    "media_parts",
    "messages_from_lmms",
    "messages_from_visuals",
    "rule_from_lmms",
    "without_images",
]


@dataclass(frozen=True)
class GenerationSettings:
    """Generation settings of a reply. Greedy unless `do_sample`."""

    max_new_tokens: int = 1024
    until: tuple[str, ...] = ()
    """Stop strings: the reply ends before the first of them."""
    do_sample: bool = False
    num_beams: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0

    @classmethod
    def from_lmms(cls, kwargs: Mapping[str, Any]) -> "GenerationSettings":
        """Read a task's generation_kwargs; keys for other models are ignored.

        A temperature of 0 means greedy. Without sampling, temperature, top-p and top-k have no influence and keep their
        defaults, so that they do not change the answer key.
        """
        names = {field.name for field in fields(cls)}
        values = {name: value for name, value in kwargs.items() if name in names and value is not None}
        until = values.pop("until", ())
        sampling = bool(values.pop("do_sample", False)) and values.get("temperature", 1.0) > 0
        if not sampling:
            for name in ("temperature", "top_p", "top_k"):
                values.pop(name, None)
        return cls(until=(until,) if isinstance(until, str) else tuple(until), do_sample=sampling, **values)

    def for_model(self) -> dict[str, Any]:
        """Return the arguments of the model's `generate`, without `until`, which is applied to the text."""
        options: dict[str, Any] = {"max_new_tokens": self.max_new_tokens, "num_beams": self.num_beams}
        options["repetition_penalty"] = self.repetition_penalty
        if self.do_sample:
            options |= {"do_sample": True, "temperature": self.temperature, "top_p": self.top_p, "top_k": self.top_k}
        return options

    def cut(self, text: str) -> str:
        """Return the text up to the first stop string."""
        ends = [end for stop in self.until if stop and (end := text.find(stop)) >= 0]
        return text[: min(ends)] if ends else text


def rule_from_lmms(kwargs: Mapping[str, Any], default: FrameRule) -> FrameRule:
    """Return a task's frame rule: the default, changed by `fps`, `max_frames` and `frame_rule` of generation_kwargs.

    Raises:
        SetupError: a value is invalid.
    """
    names = {"fps": "fps", "max_frames": "max_frames", "frame_rule": "name"}
    overrides = {field: kwargs[name] for name, field in names.items() if kwargs.get(name) is not None}
    values: dict[str, Any] = {"fps": default.fps, "max_frames": default.max_frames, "name": default.name}
    values |= overrides
    return FrameRule(**values | {"fps": float(values["fps"])})


class RequestKind(StrEnum):
    """Kind of output: a reply, a score or a conversation."""

    GENERATE = "generate"
    SCORE = "score"
    """Likelihood of a given continuation (lmms-eval's loglikelihood)."""
    ROUNDS = "rounds"
    """A conversation that the task continues after each reply."""


class ImageInMemory(NamedTuple):
    """Reference to an image without a file: the task keeps its pixels until it is encoded."""

    digest: str

    @classmethod
    def of(cls, image: Any) -> "ImageInMemory":
        """Return the reference to a PIL image, by a hash of its pixels."""
        pixels = hashlib.sha256(f"{image.mode} {image.size}".encode())
        pixels.update(image.tobytes())
        return cls(pixels.hexdigest())


@dataclass(frozen=True)
class Request:
    """Messages and settings for one sample. Plain values, so that any process can answer it."""

    task: str
    doc_id: int | str
    split: str
    repeat: int
    """Index of this request among equal ones, from 0 (lmms-eval's `repeats`)."""
    sample_id: str
    """The sample's `question_id`, or else its doc_id."""
    messages: list[dict[str, Any]]
    """Chat messages; media are paths or `ImageInMemory`."""
    generation: GenerationSettings
    rule: FrameRule
    cube_rule: CubeRule = field(default_factory=CubeRule)
    kind: RequestKind = RequestKind.GENERATE
    continuation: str = ""
    """The text to score."""
    fault: str = ""
    """Reason why the task could not build the request."""

    @property
    def in_memory(self) -> bool:
        """Whether it has images in memory, which only its task can provide."""
        return any(isinstance(part[part["type"]], ImageInMemory) for part in media_parts(self.messages))

    @property
    def files(self) -> list[tuple[str, str]]:
        """Paths of its files, each with its kind: "video", "image" or "subtitles"."""
        parts = media_parts(self.messages)
        media = [(part[part["type"]], part["type"]) for part in parts if isinstance(part[part["type"]], str)]
        return media + [(part["subtitles"], "subtitles") for part in parts if "subtitles" in part]


def media_parts(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the images and videos of a conversation, in order."""
    return [part for message in messages for part in message["content"] if part["type"] != "text"]


def without_images(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages as plain values: references in place of images in memory, and paths as text."""

    def plain(part: dict[str, Any]) -> dict[str, Any]:
        media = None if part["type"] == "text" else part[part["type"]]
        if media is None:
            return part
        return part | {part["type"]: str(media) if isinstance(media, str | Path) else ImageInMemory.of(media)}

    return [message | {"content": [plain(part) for part in message["content"]]} for message in messages]


def messages_from_lmms(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return lmms-eval's chat messages in our form: media under their kind, with start and end in seconds."""
    return [
        {"role": message["role"], "content": [_part(content) for content in _contents(message["content"])]}
        for message in messages
    ]


def messages_from_visuals(visuals: list[Any] | None, text: str) -> list[dict[str, Any]]:
    """Return the user message of a simple task: media first, then the text."""
    parts = [_visual(visual) for visual in visuals or []]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]


def _contents(content: Any) -> list[Mapping[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _part(content: Mapping[str, Any]) -> dict[str, Any]:
    kind = content["type"]
    if kind == "text":
        return {"type": "text", "text": content["text"]}
    if kind == "image":
        return {"type": "image", "image": content["url"]}
    if kind == "video":
        video = _video(content["url"], content.get("start_time"), content.get("end_time"))
        return video | ({"subtitles": content["subtitles"]} if "subtitles" in content else {})
    raise SetupError(f"the task sends {kind}, but Quicksviewer takes images, videos and text only")


def _video(url: Any, start_s: float | None = None, end_s: float | None = None) -> dict[str, Any]:
    if isinstance(url, Mapping):
        start_s = url.get("video_start", start_s)
        end_s = url.get("video_end", end_s)
        url = url.get("url") or url.get("path")
    bounds = {"start_s": start_s, "end_s": end_s}
    return {
        "type": "video",
        "video": url,
        **{name: float(value) for name, value in bounds.items() if value is not None},
    }


_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def _visual(visual: Any) -> dict[str, Any]:
    """Return the message part of an image or video, told apart as in lmms-eval: by type, then by name, else a video."""
    if isinstance(visual, Mapping):
        kind = visual.get("type", "video")
        return {"type": "image", "image": visual.get("url")} if kind == "image" else _video(visual)
    if isinstance(visual, str) and not visual.lower().endswith(_IMAGE_SUFFIXES):
        return _video(visual)
    return {"type": "image", "image": visual}
