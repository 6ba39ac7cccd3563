"""`qsv-eval ask`: from command-line words to a conversation, and from a reply to JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.frames import size_bytes

if TYPE_CHECKING:
    from qsv_eval.model_adapters.quicksviewer import Reply

__all__ = ["conversation", "reply_as_json"]


def conversation(
    question: str, videos: Sequence[Path], images: Sequence[Path], messages: Path | None
) -> list[dict[str, Any]]:
    """Build the conversation: that of the file, or one turn with videos, images and the question in this order."""
    if messages is not None:
        if question or videos or images:
            raise SetupError("ask: --messages is the whole conversation; leave the question, --video and --image away")
        return _read_messages(messages)
    if not question.strip():
        raise SetupError("ask: there is no question; give it as the last word, in quotes, or a file by --messages")
    for path in (*videos, *images):
        size_bytes(path)  # refuses a file that is not there, before a model is loaded
    parts: list[dict[str, Any]] = [{"type": "video", "video": str(path)} for path in videos]
    parts += [{"type": "image", "image": str(path)} for path in images]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": question}]}]


def _read_messages(path: Path) -> list[dict[str, Any]]:
    try:
        messages = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SetupError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise SetupError(f"{path}: is not JSON ({error})") from error
    if not isinstance(messages, list) or not messages or not all(isinstance(turn, dict) for turn in messages):
        raise SetupError(f"{path}: must hold a list of messages, each with role and content")
    return messages


def reply_as_json(reply: "Reply") -> str:
    """Return a reply with what it rests on: for each video its frames' timestamps and its cubes."""
    return json.dumps(
        {
            "text": reply.text,
            "token_ids": reply.token_ids,
            "prompt": reply.prompt,
            "frames": reply.frames,
            "lost_frames": reply.lost_frames,
            "cubes": [[cube._asdict() for cube in video] for video in reply.cubes],
        },
        ensure_ascii=False,
    )
