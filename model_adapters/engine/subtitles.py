"""Subtitles in a prompt: those on screen at one of the frames that the model gets, each once, in order.

The frames are known only after the video was read, so a task puts a marker into its text and names the subtitle file
beside the video; the engine replaces the marker.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import av
import av.error

from qsv_eval.model_adapters.errors import MediaError, MediaFault
from qsv_eval.model_adapters.frames.content_id import size_bytes

__all__ = ["SUBTITLES", "Subtitle", "insert_subtitles", "read_subtitles", "visible_subtitles"]

SUBTITLES: Final = "\ue001subtitles\ue001"
"""The marker; its private characters occur in no text."""

_TAG: Final = re.compile(r"<[^>\n]{1,100}>|\{\\[^}\n]{1,100}\}")


class Subtitle(NamedTuple):
    """A text and the time for which it is on screen."""

    start_s: float
    end_s: float
    text: str


@lru_cache(maxsize=64)
def read_subtitles(path: str) -> tuple[Subtitle, ...]:
    """Return the subtitles of an SRT or WebVTT file by start time, each as one line of plain text.

    Raises:
        MediaError: the file is missing or has no subtitles.
    """
    size_bytes(path)
    subtitles = []
    try:
        with av.open(f"file:{path}", metadata_errors="ignore") as container:
            if not container.streams.subtitles:
                raise MediaError(path, MediaFault.UNDECODABLE, "no subtitles in it")
            stream = container.streams.subtitles[0]
            for packet in container.demux(stream):
                if packet.size and packet.pts is not None and packet.time_base is not None:
                    start, length = packet.pts * packet.time_base, (packet.duration or 0) * packet.time_base
                    text = " ".join(_TAG.sub("", bytes(packet).decode("utf-8", "replace")).split())
                    subtitles.append(Subtitle(float(start), float(start + length), text))
    except av.error.FFmpegError as error:
        raise MediaError(path, MediaFault.UNDECODABLE, f"no subtitles: {error.strerror}") from error
    return tuple(sorted(subtitle for subtitle in subtitles if subtitle.text))


def visible_subtitles(subtitles: Sequence[Subtitle], timestamps_s: Sequence[float]) -> list[str]:
    """Return the texts that are on screen at one of the times, each once, by start time."""
    times = sorted(timestamps_s)
    texts: list[str] = []
    for subtitle in subtitles:
        first = bisect_left(times, subtitle.start_s)
        is_visible = first < len(times) and times[first] < subtitle.end_s
        if is_visible and subtitle.text not in texts[-1:]:
            texts.append(subtitle.text)
    return texts


def insert_subtitles(messages: Sequence[dict[str, Any]], media: Sequence[Any]) -> list[dict[str, Any]]:
    """Replace the marker in the messages by the subtitles of `media`, the facts of their images and videos in order."""
    remaining = iter(media)
    texts: list[str] = []
    for message in messages:
        for part in message["content"]:
            if part["type"] == "text":
                continue
            decoded = next(remaining)
            if "subtitles" in part:
                texts += visible_subtitles(read_subtitles(part["subtitles"]), decoded.timestamps_s or ())
    text = "\n".join(texts)

    def with_text(part: dict[str, Any]) -> dict[str, Any]:
        return part | {"text": part["text"].replace(SUBTITLES, text)} if part["type"] == "text" else part

    return [message | {"content": [with_text(part) for part in message["content"]]} for message in messages]
