"""The one sample format of all training data: a line of JSON (spec training.md, section 2.1), checked when it is read.

A sample becomes turns of segments: text, and places where an image or the video stands. Media are not opened here.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from qsv_eval.model_adapters.errors import QsvError
from qsv_eval.training.data.caption_prompts import describe_image, describe_video

__all__ = ["BadSample", "Segment", "TrainingSample", "Turn", "read_sample"]


class BadSample(QsvError):
    """A sample that cannot be trained on; the text says which and why."""


class Segment(NamedTuple):
    """A piece of a turn: a text, or the place of an image (by its number in the sample) or of the video."""

    kind: Literal["text", "image", "video"]
    text: str = ""
    image: int = -1


class Turn(NamedTuple):
    """What one side says; the assistant's words are learned."""

    role: Literal["user", "assistant"]
    segments: tuple[Segment, ...]


class _Message(BaseModel):
    speaker: Literal["human", "gpt"] = Field(alias="from")
    value: Annotated[str, StringConstraints(min_length=1)]


class TrainingSample(BaseModel):
    """A line of a data file."""

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
    """Seconds of the frames, where they are stored with the sample."""
    video_len: float | None = None
    """Length in seconds, if known: only for estimates of cost."""
    uid: str | int | None = None

    @property
    def images(self) -> list[str]:
        """Paths of the images, in order."""
        paths = [self.image] if isinstance(self.image, str) else self.image or []
        return [path for path in paths if path is not None]

    @property
    def video_path(self) -> str | None:
        """Path or key of the video; images win over it."""
        return None if self.images else self.video or self.video_id

    @model_validator(mode="after")
    def _check(self) -> "TrainingSample":
        if self.data_type == "conversations":
            _check_alternation(self.conversations)
            self._check_places()
        elif self.data_type == "caption":
            if not isinstance(self.caption, str) or not self.caption.strip():
                raise ValueError("a caption sample needs a text in `caption`")
            if not self.images and self.video_path is None:
                raise ValueError("a caption sample needs an image or a video")
        else:
            _check_interleave(self.image, self.caption)
        if self.start_sec is not None and self.end_sec is not None and self.end_sec <= self.start_sec:
            raise ValueError(f"end_sec {self.end_sec} is not after start_sec {self.start_sec}")
        return self

    def turns(self, seed: int = 0) -> list[Turn]:
        """Return the dialogue.

        Args:
            seed: chooses the request of a caption sample among several wordings.
        """
        if self.data_type == "caption":
            return self._caption_turns(seed)
        if self.data_type == "interleave":
            return list(_interleaved(self.image, self.caption))
        return self._conversation_turns()

    def _caption_turns(self, seed: int) -> list[Turn]:
        # The reference glues the request to the picture, without a newline (spec 3.5).
        places = self._places()
        request = describe_image(seed) if self.images else describe_video(seed)
        return [
            Turn("user", (*places, Segment("text", request))),
            Turn("assistant", (Segment("text", str(self.caption)),)),
        ]

    def _places(self) -> list[Segment]:
        if self.video_path is not None:
            return [Segment("video")]
        return [Segment("image", image=number) for number in range(len(self.images))]

    def _asked(self) -> int:
        return sum(len(_MARK.findall(spoken.value)) for spoken in self.conversations if spoken.speaker == "human")

    def _check_places(self) -> None:
        asked, there = self._asked(), len(self._places())
        if asked not in (0, there):
            raise ValueError(f"the text has {asked} places for media, but the sample has {there} of them")

    def _conversation_turns(self) -> list[Turn]:
        places = self._places()
        asked = self._asked()
        rest = iter(places)
        turns = []
        for number, spoken in enumerate(self.conversations):
            if spoken.speaker == "gpt":
                turns.append(Turn("assistant", (Segment("text", spoken.value),)))
                continue
            segments = _split(spoken.value, rest)
            if number == 0 and asked == 0 and places:
                segments = [*places, Segment("text", "\n"), *segments]
            turns.append(Turn("user", tuple(_stripped(segments))))
        return turns


_MARK = re.compile(r"<image>|<video>")


def _split(text: str, places: Iterator[Segment]) -> list[Segment]:
    """Return a text as segments, with a place at every mark."""
    pieces = _MARK.split(text)
    segments = [Segment("text", pieces[0])]
    for piece in pieces[1:]:
        segments += [next(places), Segment("text", piece)]
    return [segment for segment in segments if segment.kind != "text" or segment.text]


def _stripped(segments: Sequence[Segment]) -> list[Segment]:
    """Take white space from the ends of a turn with media, as the reference does."""
    if all(segment.kind == "text" for segment in segments):
        return list(segments)
    kept = list(segments)
    if kept[0].kind == "text":
        kept[0] = kept[0]._replace(text=kept[0].text.lstrip())
    if kept[-1].kind == "text":
        kept[-1] = kept[-1]._replace(text=kept[-1].text.rstrip())
    return [segment for segment in kept if segment.kind != "text" or segment.text]


def _check_alternation(spoken: Sequence[_Message]) -> None:
    if len(spoken) < 2:
        raise ValueError("`conversations` needs a human's turn and an answer")
    for number, one in enumerate(spoken):
        expected = ("human", "gpt")[number % 2]
        if one.speaker != expected:
            raise ValueError(f"turn {number + 1} of `conversations` is from {one.speaker!r}, not from {expected!r}")


def _check_interleave(images: Any, captions: Any) -> None:
    if not isinstance(images, list) or not isinstance(captions, list) or len(images) != len(captions):
        raise ValueError("an interleave sample needs lists `image` and `caption` of the same length")
    for number, (image, caption) in enumerate(zip(images, captions, strict=True)):
        if (image is None) == (caption is None):
            raise ValueError(f"entry {number + 1} of an interleave sample must be an image or a text")
    kinds = [image is not None for image in images]
    if True not in kinds or False not in kinds[kinds.index(True) :]:
        raise ValueError("an interleave sample needs an image, and a text behind it")


def _interleaved(images: Any, captions: Any) -> Iterator[Turn]:
    """Yield images as the user's turns and the texts behind them as answers; what does not fit that is left out."""
    number, shown, said = 0, list[Segment](), list[str]()
    for image, caption in zip(images, captions, strict=True):
        if image is not None:
            if said:
                yield from _shown_and_said(shown, said)
                shown, said = [], []
            shown.append(Segment("image", image=number))
            number += 1
        elif shown:  # a text before the first image answers nothing
            said.append(caption)
    if said:
        yield from _shown_and_said(shown, said)


def _shown_and_said(shown: Sequence[Segment], said: Sequence[str]) -> tuple[Turn, Turn]:
    return Turn("user", tuple(shown)), Turn("assistant", (Segment("text", " ".join(said)),))


def read_sample(line: str | bytes, place: str) -> TrainingSample:
    """Check a line of a data file.

    Args:
        line: the JSON.
        place: where it is, for the error.

    Raises:
        BadSample: it is no sample; the text names the place, the field and what is wrong.
    """
    try:
        return TrainingSample.model_validate_json(line)
    except ValidationError as error:
        problems = (
            ": ".join(filter(None, (".".join(map(str, one["loc"])), one["msg"].removeprefix("Value error, "))))
            for one in error.errors()
        )
        raise BadSample(f"{place}: {'; '.join(problems)}") from error
