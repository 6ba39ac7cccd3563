"""LongVideoBench (arXiv 2407.15754), validation: 1,337 questions that refer to a moment, on videos up to an hour.

Read from the authors' `lvb_val.json` or the hub's parquet file; the subtitles that the authors put between frames are
not used. Average: accuracy over all questions.
"""

from collections.abc import Mapping
from typing import Any, Final

from qsv_eval.data.annotation_files import read_rows
from qsv_eval.data.benchmark import Benchmark, BenchmarkSources
from qsv_eval.data.letters import LETTERS, letter_options
from qsv_eval.data.media_index import MediaIndex
from qsv_eval.data.sample import Sample, SampleVideo
from qsv_eval.scoring.scorers import Choice
from qsv_eval.tasks.task import ANSWER_BY_LETTER, Task, TaskPrompt

__all__ = ["LONGVIDEOBENCH", "TASKS"]

_COLUMNS: Final = ("id", "question", "correct_choice", "video_path", "duration_group", "question_category")


def _read(sources: BenchmarkSources) -> list[Sample] | None:
    """Read the authors' `lvb_val.json`, or the hub's `validation-*.parquet`."""
    files = sources.files("lvb_val.json", "*/lvb_val.json", "validation-*.parquet", "**/validation-*.parquet")
    return [_sample(row, sources.media) for row in read_rows(files, _COLUMNS)] if files else None


def _sample(row: Mapping[str, Any], media: MediaIndex) -> Sample:
    options = row.get("candidates") or [row.get(f"option{i}") for i in range(5)]
    duration = row.get("duration")
    return Sample(
        id=str(row["id"]),
        video=SampleVideo(
            path=str(media.expect(f"videos/{row['video_path']}")),
            duration_s=float(duration) if duration is not None else None,
        ),
        question=row["question"],
        options=tuple(str(option) for option in options if option not in (None, "N/A")),
        answer=LETTERS[int(row["correct_choice"])],
        cluster=str(row.get("video_id") or row["video_path"]),
        groups={
            "duration": str(row["duration_group"]),
            "category": row["question_category"],
            "topic": str(row.get("topic_category") or ""),
        },
    )


LONGVIDEOBENCH: Final = Benchmark(
    name="longvideobench",
    sets={"val": _read},
    repos=("longvideobench/LongVideoBench",),
    annotations=("lvb_val.json", "validation-*.parquet"),
    hf_home="datasets/longvideobench",
    needs="lvb_val.json or validation-*.parquet, and videos/*.mp4",
)


def _standard(sample: Sample) -> TaskPrompt:
    return TaskPrompt("\n".join([sample.question, *letter_options(sample.options), ANSWER_BY_LETTER]))


TASKS: Final[Mapping[str, Task]] = {
    "qsv_longvideobench": Task(
        "qsv_longvideobench",
        LONGVIDEOBENCH,
        "val",
        _standard,
        Choice(letters="ABCDE"),
        fields=("duration", "category", "topic"),
    )
}
