"""Built-in sample benchmark `qsv_demo`: generated questions, and clips that are encoded on first use.

Average: accuracy over all questions.
"""

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


class Demo:
    """Benchmark of generated samples."""

    name = "demo"

    def samples(self, set_name: str) -> list[Sample]:
        """Return the 420 samples."""
        clip_folder()  # report a wrong QSV_DATA once, not for every clip
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
        """Return the same samples; the generated ids are unique."""
        return self.samples(set_name)

    def load_images(self, set_name: str, ids: Sequence[str]) -> None:
        """Return None: the benchmark has no images."""


def clip_folder() -> Path:
    """Return the folder of the clips: `$QSV_DATA/demo`, or the user's cache if that is not writable."""
    root = data_root()
    return root / "demo" if root and os.access(root, os.W_OK) else cache_folder("demo")


def clip_path(video: SampleVideo) -> str:
    """Return the path of a sample's clip, which is encoded on first use."""
    return str(ensure_video(clip_from_id(video.path), clip_folder()))


def _bare(sample: Sample) -> TaskPrompt:
    # No instruction: the built-in model has a vocabulary of about eighty words and was trained on this format.
    return TaskPrompt("\n".join([sample.question, *sample.options, "Answer:"]))


TASKS: Final[Mapping[str, Task]] = {
    "qsv_demo": Task(
        "qsv_demo", Demo(), "test", _bare, Choice(), fields=("duration", "task_type"), find_video=clip_path
    )
}
