"""Which video a question is on, where the benchmark's files are at hand. Nothing is downloaded for a page."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from qsv_eval.data.sample import Sample
from qsv_eval.model_adapters.cells import plain_name
from qsv_eval.model_adapters.errors import QsvError, SetupError
from qsv_eval.tasks.media import media_parts
from qsv_eval.tasks.registry import task_named

__all__ = ["Clip", "Videos"]


class Clip(NamedTuple):
    """A video file, or a stretch of it."""

    path: str
    start_s: float | None = None
    end_s: float | None = None


class Videos:
    """The videos of our tasks' questions. A task's annotations are read once, for all cells of a sweep."""

    def __init__(self) -> None:
        self._samples: dict[str, dict[str, Sample] | str] = {}

    def find(self, task: str, sample_id: str) -> Clip | str:
        """Return the video of a question, or why there is none."""
        task = plain_name(task)
        if task not in self._samples:
            self._samples[task] = _samples_of(task)
        samples = self._samples[task]
        if isinstance(samples, str):
            return samples
        if (sample := samples.get(sample_id)) is None:
            return "the benchmark's files at hand do not have this question"
        if sample.video is None:
            return "no video: its images are in the benchmark's table"
        try:
            [part] = media_parts({"task": task}, sample)
        except QsvError as error:
            return str(error)
        return Clip(part["url"], part.get("start_time"), part.get("end_time"))


def _samples_of(task: str) -> dict[str, Sample] | str:
    """Return a task's samples by id, or why they are not at hand."""
    try:
        known = task_named(task)
    except KeyError:
        return "where the videos of lmms-eval's own tasks are is not stored"
    try:
        with _offline():
            return {sample.id: sample for sample in known.benchmark.unchecked(known.part)}
    except SetupError:
        # Its message names folders of this machine, and the page is for others too.
        return "the benchmark's files are not at hand: set QSV_DATA to their folder and make the page again"


@contextmanager
def _offline() -> Iterator[None]:
    """Keep the hub's client from the network meanwhile: what is in its cache is at hand, the rest is not."""
    from huggingface_hub import constants

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
