"""The built-in sample benchmark `qsv_demo`: generated questions, and clips encoded when they are first asked for."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qsv_eval.demo import DemoRecord, clip_from_id, demo_records, ensure_video
from qsv_eval.model_adapters.paths import cache_folder
from qsv_eval.scoring.choice import ChoiceTask
from qsv_eval.scoring.sources import as_table, data_root

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["clip_folder", "doc_to_messages", "doc_to_text", "doc_to_visual", "process_results", "summarise", "table"]


def table(_: "Dataset") -> "Dataset":
    """Return the questions. lmms-eval passes the placeholder that the task file opens."""
    return as_table(_rows)


def clip_folder() -> Path:
    """Return where the clips go: `$QSV_DATA/demo`, or the user's cache where that cannot be written."""
    root = data_root()
    return root / "demo" if root and os.access(root, os.W_OK) else cache_folder("demo")


def _rows() -> list[DemoRecord]:
    clip_folder()  # a wrong QSV_DATA is found here, once, not at every clip
    return demo_records()


def _video_path(doc: Mapping[str, Any]) -> str:
    return str(ensure_video(clip_from_id(doc["video_id"]), clip_folder()))


def _prompt(doc: Mapping[str, Any]) -> str:
    # No instructions: the built-in model knows some eighty words, and learnt letters in this layout.
    return "\n".join([doc["question"], *doc["options"], "Answer:"])


_DEMO: Final = ChoiceTask(
    name="qsv_demo",
    prompt=_prompt,
    media=_video_path,
    cluster_field="video_id",
    group_fields=("duration", "task_type"),
)

doc_to_text = _DEMO.doc_to_text
doc_to_messages = _DEMO.doc_to_messages
doc_to_visual = _DEMO.doc_to_visual
process_results = _DEMO.process_results
summarise = _DEMO.summarise
