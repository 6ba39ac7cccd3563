"""Video-MME (arXiv 2405.21075): 900 videos of 11 seconds to an hour, three questions each, subtitles for most.

Read from the hub's parquet file. Average: accuracy over all questions.
"""

from collections.abc import Mapping
from typing import Final

from qsv_eval.data.annotation_files import read_rows
from qsv_eval.data.benchmark import Benchmark, BenchmarkSources
from qsv_eval.data.sample import Sample, SampleVideo
from qsv_eval.model_adapters.engine.subtitles import SUBTITLES
from qsv_eval.scoring.scorers import Choice
from qsv_eval.tasks.task import Task, TaskPrompt

__all__ = ["GROUPS", "TASKS", "VIDEOMME"]

GROUPS: Final = ("duration", "domain", "sub_category", "task_type")
_COLUMNS: Final = ("question_id", "videoID", *GROUPS, "question", "options", "answer")


def _hub(sources: BenchmarkSources) -> list[Sample] | None:
    """Read the parquet file, with videos in `data/ID.mp4` and subtitles in `subtitle/ID.srt`."""
    files = sources.files("videomme/*.parquet", "test-*.parquet", "*/test-*.parquet")
    if not files:
        return None
    media = sources.media
    samples = []
    for row in read_rows(files, _COLUMNS):
        name = row["videoID"]
        subtitles = media.find(f"subtitle/{name}.srt")
        samples.append(
            Sample(
                id=row["question_id"],
                video=SampleVideo(
                    path=str(media.expect(f"data/{name}.mp4")), subtitles=str(subtitles) if subtitles else None
                ),
                question=row["question"],
                options=tuple(row["options"]),
                answer=row["answer"],
                cluster=name,
                groups={field: row[field] for field in GROUPS},
            )
        )
    return samples


VIDEOMME: Final = Benchmark(
    name="videomme",
    sets={"test": _hub},
    repos=("lmms-lab/Video-MME", "lmms-eval/Video-MME"),
    annotations=("videomme/*.parquet",),
    hf_home="videomme",
    needs="videomme/*.parquet, data/*.mp4 and subtitle/*.srt",
)


def _official(sample: Sample) -> TaskPrompt:
    return TaskPrompt(_instruction("the video", sample))


def _with_subtitles(sample: Sample) -> TaskPrompt:
    # The engine replaces the marker by the subtitles on screen at the sampled frames.
    has_subtitles = sample.video is None or sample.video.subtitles is not None
    subtitles = SUBTITLES if has_subtitles else "No subtitles available"
    question = _instruction("the video and the subtitles", sample)
    return TaskPrompt(f"This video's subtitles are listed below:\n{subtitles}\n{question}")


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


def _reference(sample: Sample) -> TaskPrompt:
    # Byte for byte the reference's prompt, with no space after the first full stop (docs/reference.md).
    return TaskPrompt(
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


_PROMPTS: Final = {
    "qsv_videomme": _official,
    "qsv_videomme_sub": _with_subtitles,
    "qsv_videomme_reference": _reference,
}

TASKS: Final[Mapping[str, Task]] = {
    name: Task(name, VIDEOMME, "test", prompt, Choice(), fields=GROUPS) for name, prompt in _PROMPTS.items()
}
