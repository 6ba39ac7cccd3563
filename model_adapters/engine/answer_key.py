"""The answer key: the hash of what moves a reply, and of nothing else (docs/design.md, decision 5).

Scoring choices are not in it, so a saved answer serves every extractor and judge.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from qsv_eval.model_adapters.cells import plain_name
from qsv_eval.model_adapters.cuberule import CubeRule
from qsv_eval.model_adapters.engine.question import ImageInMemory, Question
from qsv_eval.model_adapters.frames import FrameRule

__all__ = ["REPLY_VERSION", "AnswerSettings", "answer_key"]

REPLY_VERSION: Final = "b7a71e9d9f6f"
"""Version of the code between media file and reply: frame reading, perception, prompt, generation, subtitles.

It changes when, and only when, replies may change: then every recorded answer is asked again. The golden outputs in
`tests/test_golden.py` show whether a change of the code moves replies. Any text that was not used before will do.
"""


@dataclass(frozen=True)
class AnswerSettings:
    """What moves every reply of a run."""

    checkpoint: str
    """Fingerprint of the checkpoint's files."""
    model_code: str
    """`REPLY_VERSION` of the code that answers."""
    dtype: str
    frame_rule: FrameRule
    cube_rule: CubeRule
    reader: str
    resize: str

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return asdict(self)


def answer_key(settings: AnswerSettings, question: Question, identities: Mapping[str, str]) -> str:
    """Return the key (32 hex digits) of a question's answer; `identities` names the content of each file by its path.

    The rules for frames and cubes are the question's own: what its task says, or else the model's.
    """
    model = {name: value for name, value in settings.as_dict().items() if name not in ("frame_rule", "cube_rule")}
    asked = {
        "settings": model,
        "frame_rule": asdict(question.rule),
        "cube_rule": asdict(question.cube_rule),
        # Of a sweep's cell not the settings: they are in what follows, whichever of them the sweep names.
        "task": plain_name(question.task),
        "doc_id": question.doc_id,
        "split": question.split,
        "repeat": question.repeat,
        "messages": [
            {"role": message["role"], "content": [_describe(part, identities) for part in message["content"]]}
            for message in question.messages
        ],
        "generation": asdict(question.generation),
        "kind": question.kind,
        "continuation": question.continuation,
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]


def _describe(part: Mapping[str, Any], identities: Mapping[str, str]) -> dict[str, Any]:
    """Return a message part with its media named by content."""
    kind = part["type"]
    if kind == "text":
        return dict(part)
    media = part[kind]
    named = {kind: media.digest if isinstance(media, ImageInMemory) else identities[media]}
    if "subtitles" in part:
        named["subtitles"] = identities[part["subtitles"]]
    return {**part, **named}
