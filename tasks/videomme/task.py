"""Video-MME as it is asked: in the official wording, with subtitles, and as the reference asks."""

from collections.abc import Mapping
from typing import Final

from qsv_eval.data.sample import Sample
from qsv_eval.model_adapters.engine.subtitles import SUBTITLES
from qsv_eval.scoring.scorers import Choice
from qsv_eval.tasks.task import Prompt, Task
from qsv_eval.tasks.videomme.layout import GROUPS, VIDEOMME

__all__ = ["TASKS"]


def _official(sample: Sample) -> Prompt:
    return Prompt(_instruction("the video", sample))


def _with_subtitles(sample: Sample) -> Prompt:
    # Which subtitles there are depends on the frames, so the engine puts them in the marker's place.
    has_any = sample.video is None or sample.video.subtitles is not None
    said = SUBTITLES if has_any else "No subtitles available"
    question = _instruction("the video and the subtitles", sample)
    return Prompt(f"This video's subtitles are listed below:\n{said}\n{question}")


def _instruction(basis: str, sample: Sample) -> str:
    return "\n".join(
        [
            f"Select the best answer to the following multiple-choice question based on {basis}. "
            "Respond with only the letter (A, B, C, or D) of the correct option.",
            sample.question,
            *sample.options,
            "The best answer is:",
        ]
    )


def _reference(sample: Sample) -> Prompt:
    # Byte for byte, with no space after the first full stop (spec/benchmarks.md section 2.2).
    return Prompt(
        "\n".join(
            [
                "Carefully read the following question and select the letter corresponding to the correct answer."
                "Highlight the applicable choices without giving explanations.",
                sample.question,
                "Options:",
                *sample.options,
            ]
        )
    )


_ASKED: Final = {
    "qsv_videomme": _official,
    "qsv_videomme_sub": _with_subtitles,
    "qsv_videomme_reference": _reference,
}

TASKS: Final[Mapping[str, Task]] = {
    name: Task(name, VIDEOMME, "test", ask, Choice(), fields=GROUPS) for name, ask in _ASKED.items()
}
