"""The built-in sample benchmark `qsv_demo`: generated questions, and clips encoded when they are first asked for."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from qsv_eval.data.benchmark import data_root
from qsv_eval.data.sample import Sample, SampleVideo
from qsv_eval.demo import clip_from_id, demo_records, ensure_video
from qsv_eval.model_adapters.files import cache_folder
from qsv_eval.scoring.scorers import Choice
from qsv_eval.tasks.task import Task, TaskPrompt

__all__ = ["TASKS", "Demo", "clip_folder", "clip_path"]

# MERGED DOCSTRINGS, to be worked into the one above:
# The built-in sample benchmark as it is asked.


class Demo:
    """Questions that are drawn, not stored."""

    name = "demo"

    def samples(self, set_name: str) -> list[Sample]:
        """Return the 420 questions."""
        clip_folder()  # a wrong QSV_DATA is found here, once, not at every clip
        return [
            Sample(
                id=record["question_id"],
                video=SampleVideo(path=record["video_id"]),
                question=record["question"],
                options=tuple(record["options"]),
                answer=record["answer"],
                cluster=record["video_id"],
                groups={"duration": record["duration"], "task_type": record["task_type"]},
            )
            for record in demo_records()
        ]

    def unchecked_samples(self, set_name: str) -> list[Sample]:
        """Return the same."""
        return self.samples(set_name)

    def load_images(self, set_name: str, ids: Sequence[str]) -> None:
        """Return nothing: it has no images."""


def clip_folder() -> Path:
    """Return where the clips go: `$QSV_DATA/demo`, or the user's cache where that cannot be written."""
    root = data_root()
    return root / "demo" if root and os.access(root, os.W_OK) else cache_folder("demo")


def clip_path(video: SampleVideo) -> str:
    """Return the clip that a sample names, encoding it if nobody has asked for it yet."""
    return str(ensure_video(clip_from_id(video.path), clip_folder()))


def _bare(sample: Sample) -> TaskPrompt:
    # No instructions: the built-in model knows some eighty words, and learnt letters in this layout.
    return TaskPrompt("\n".join([sample.question, *sample.options, "Answer:"]))


TASKS: Final[Mapping[str, Task]] = {
    "qsv_demo": Task(
        "qsv_demo", Demo(), "test", _bare, Choice(), fields=("duration", "task_type"), find_video=clip_path
    )
}
