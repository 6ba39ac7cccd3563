"""The JSON sample format of all training data (docs/reference.md), and its conversion into turns of segments.

A segment is a text or the position of an image or video. Media are not opened here.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from qsv_eval.model_adapters.errors import QsvError
from qsv_eval.model_adapters.plurals import counted

__all__ = ["BadSample", "Segment", "TrainingSample", "Turn", "read_sample"]


class BadSample(QsvError):
    """A sample that cannot be trained on; the message holds its location and the reason."""


class Segment(NamedTuple):
    """A part of a turn: a text, an image or the video."""

    kind: Literal["text", "image", "video"]
    text: str = ""
    image: int = -1
    """Index of the image in the sample."""


class Turn(NamedTuple):
    """A message of a conversation; the loss covers the assistant's turns."""

    role: Literal["user", "assistant"]
    segments: tuple[Segment, ...]


class _Message(BaseModel):
    speaker: Literal["human", "gpt"] = Field(alias="from")
    value: Annotated[str, StringConstraints(min_length=1)]


class TrainingSample(BaseModel):
    """A validated line of a data file."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    data_type: Literal["conversations", "caption", "interleave"] = "conversations"
    image: str | list[str | None] | None = None
    video: str | None = None
    video_id: str | None = None
    conversations: list[_Message] = []
    caption: str | list[str | None] | None = None
    start_sec: float | None = None
    end_sec: float | None = None
    timestamps: list[float] | None = None
    """Times in seconds of frames that are stored with the sample."""
    video_len: float | None = None
    """Length in seconds, if known; used only to estimate the cost."""
    uid: str | int | None = None

    @property
    def images(self) -> list[str]:
        """Paths of the images, in order."""
        paths = [self.image] if isinstance(self.image, str) else self.image or []
        return [path for path in paths if path is not None]

    @property
    def video_path(self) -> str | None:
        """Path or key of the video; None if the sample has images."""
        return None if self.images else self.video or self.video_id

    @model_validator(mode="after")
    def _check(self) -> "TrainingSample":
        if self.data_type == "conversations":
            _check_alternation(self.conversations)
            self._check_placeholders()
        elif self.data_type == "caption":
            if not isinstance(self.caption, str) or not self.caption.strip():
                raise ValueError("a caption sample needs text in `caption`")
            if not self.images and self.video_path is None:
                raise ValueError("a caption sample needs an image or a video")
        else:
            _check_interleave(self.image, self.caption)
        if self.start_sec is not None and self.end_sec is not None and self.end_sec <= self.start_sec:
            raise ValueError(f"end_sec {self.end_sec} is not after start_sec {self.start_sec}")
        return self

    def turns(self, seed: int = 0) -> list[Turn]:
        """Return the conversation; `seed` selects the prompt of a caption sample."""
        if self.data_type == "caption":
            return self._caption_turns(seed)
        if self.data_type == "interleave":
            return list(_interleaved(self.image, self.caption))
        return self._conversation_turns()

    def _caption_turns(self, seed: int) -> list[Turn]:
        # As in the reference, no newline stands between the media and the prompt.
        return [
            Turn("user", (*self._media(), Segment("text", _caption_prompt(seed, is_image=bool(self.images))))),
            Turn("assistant", (Segment("text", str(self.caption)),)),
        ]

    def _media(self) -> list[Segment]:
        if self.video_path is not None:
            return [Segment("video")]
        return [Segment("image", image=index) for index in range(len(self.images))]

    def _count_placeholders(self) -> int:
        return sum(
            len(_PLACEHOLDER.findall(message.value)) for message in self.conversations if message.speaker == "human"
        )

    def _check_placeholders(self) -> None:
        placeholders, media = self._count_placeholders(), len(self._media())
        if placeholders not in (0, media):
            raise ValueError(
                f"the text has {counted(placeholders, 'media placeholder')}, but the sample has "
                f"{counted(media, 'image or video', 'images or videos')}"
            )

    def _conversation_turns(self) -> list[Turn]:
        media = self._media()
        unplaced = iter(media)
        turns = []
        for i, message in enumerate(self.conversations):
            if message.speaker == "gpt":
                turns.append(Turn("assistant", (Segment("text", message.value),)))
                continue
            segments = _split(message.value, unplaced)
            if i == 0 and media and not self._count_placeholders():
                segments = [*media, Segment("text", "\n"), *segments]
            turns.append(Turn("user", tuple(_strip(segments))))
        return turns


_PLACEHOLDER = re.compile(r"<image>|<video>")


def _split(text: str, media: Iterator[Segment]) -> list[Segment]:
    """Return a text as segments, with the next media segment at every placeholder."""
    pieces = _PLACEHOLDER.split(text)
    segments = [Segment("text", pieces[0])]
    for piece in pieces[1:]:
        segments += [next(media), Segment("text", piece)]
    return [segment for segment in segments if segment.kind != "text" or segment.text]


def _strip(segments: list[Segment]) -> list[Segment]:
    """Strip white space from both ends of a turn with media, as the reference does."""
    if all(segment.kind == "text" for segment in segments):
        return segments
    segments[0] = segments[0]._replace(text=segments[0].text.lstrip())
    segments[-1] = segments[-1]._replace(text=segments[-1].text.rstrip())
    return [segment for segment in segments if segment.kind != "text" or segment.text]


_CAPTION_PROMPTS = (
    "Describe {}.",
    "Describe {} in detail.",
    "What does {} show?",
    "What can be seen in {}?",
    "Tell me what {} shows.",
    "Give a description of {}.",
    "Write a caption for {}.",
    "Summarise what {} shows.",
    "Put {} into words.",
    "Explain what is visible in {}.",
)


def _caption_prompt(seed: int, *, is_image: bool) -> str:
    """Return one of the prompts for a sample that has a caption and no question."""
    nouns = ("this image", "this picture", "this photo") if is_image else ("this video", "this clip")
    noun, prompt = divmod(seed, len(_CAPTION_PROMPTS))
    return _CAPTION_PROMPTS[prompt].format(nouns[noun % len(nouns)])


def _check_alternation(messages: Sequence[_Message]) -> None:
    if len(messages) < 2:
        raise ValueError("`conversations` needs a human's turn and a reply")
    for i, message in enumerate(messages):
        expected = ("human", "gpt")[i % 2]
        if message.speaker != expected:
            raise ValueError(f"turn {i + 1} of `conversations` is from {message.speaker!r}, not from {expected!r}")


def _check_interleave(images: Any, captions: Any) -> None:
    if not isinstance(images, list) or not isinstance(captions, list) or len(images) != len(captions):
        raise ValueError("an interleave sample needs lists `image` and `caption` of the same length")
    for i, (image, caption) in enumerate(zip(images, captions, strict=True)):
        if (image is None) == (caption is None):
            raise ValueError(f"entry {i + 1} of an interleave sample must be either an image or a text")
    is_image = [image is not None for image in images]
    if True not in is_image or False not in is_image[is_image.index(True) :]:
        raise ValueError("an interleave sample needs an image that is followed by a text")


def _interleaved(images: Any, captions: Any) -> Iterator[Turn]:
    """Yield images as user turns and the texts after them as replies, without leading texts and trailing images."""
    index, user, texts = 0, list[Segment](), list[str]()
    for image, caption in [*zip(images, captions, strict=True), ("end", None)]:  # "end" yields the last two turns
        if image is None:
            if user:
                texts.append(caption)
            continue
        if texts:
            yield Turn("user", tuple(user))
            yield Turn("assistant", (Segment("text", " ".join(texts)),))
            user, texts = [], []
        user.append(Segment("image", image=index))
        index += 1


def read_sample(line: str | bytes, location: str) -> TrainingSample:
    """Parse and validate a line of a data file.

    Raises:
        BadSample: the line is invalid; the message names the location, the field and the error.
    """
    try:
        return TrainingSample.model_validate_json(line)
    except ValidationError as error:
        problems = (
            ": ".join(filter(None, (".".join(map(str, item["loc"])), item["msg"].removeprefix("Value error, "))))
            for item in error.errors()
        )
        raise BadSample(f"{location}: {'; '.join(problems)}") from error
