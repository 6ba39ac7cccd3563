"""LVBench (arXiv 2406.08035): 1,549 questions on 103 videos of an hour and more; a question may need several abilities.

Read from the authors' `video_info.meta.jsonl` or the hub's parquet files. Average: accuracy over all questions.
"""

from collections.abc import Mapping
from typing import Any, Final

from qsv_eval.data.annotation_files import read_rows
from qsv_eval.data.benchmark import Benchmark, BenchmarkSources
from qsv_eval.data.letters import letter_options, split_options
from qsv_eval.data.media_index import MediaIndex
from qsv_eval.data.sample import Sample, SampleVideo
from qsv_eval.scoring.scorers import Choice
from qsv_eval.tasks.task import Task, TaskPrompt

__all__ = ["LVBENCH", "TASKS"]


def _original(sources: BenchmarkSources) -> list[Sample] | None:
    """Read the authors' `video_info.meta.jsonl`: one video per line, with its questions in `qa`."""
    files = sources.files("video_info.meta.jsonl", "*/video_info.meta.jsonl")
    if not files:
        return None
    media = sources.media
    return [
        _sample(f"{video['key']}-{question['uid']}", f"{video['key']}.mp4", question, media)
        for video in read_rows(files, ("key", "qa"))
        for question in video["qa"]
    ]


def _hub(sources: BenchmarkSources) -> list[Sample] | None:
    files = sources.files("**/train-*.parquet", "*.parquet")
    if not files:
        return None
    rows = read_rows(files, ("question", "answer", "video_path"))
    media = sources.media
    return [_sample(str(row.get("uid") or index), str(row["video_path"]), row, media) for index, row in enumerate(rows)]


def _sample(id_: str, video: str, row: Mapping[str, Any], media: MediaIndex) -> Sample:
    split = split_options(row["question"])
    kinds = row.get("question_type") or ()
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    options = tuple(map(str, row.get("options") or row.get("candidates") or split.options))
    return Sample(
        id=id_,
        video=SampleVideo(path=str(media.expect(f"all_videos/{video}"))),
        question=split.question,
        options=options,
        answer=str(row["answer"]),
        cluster=video,
        groups={"ability": tuple(sorted(kinds))},
    )


LVBENCH: Final = Benchmark(
    name="lvbench",
    sets={"test": lambda sources: _original(sources) or _hub(sources)},
    repos=("zai-org/LVBench", "lmms-lab/LVBench", "lmms-eval/LVBench"),
    annotations=("video_info.meta.jsonl", "**/*.parquet"),
    hf_home="lvbench",
    needs="video_info.meta.jsonl or a parquet file, and the videos",
)


def _standard(sample: Sample) -> TaskPrompt:
    options = letter_options(sample.options, "({letter}) {option}")
    return TaskPrompt("\n".join([sample.question, *options, "Answer the question with the option letter"]))


TASKS: Final[Mapping[str, Task]] = {
    "qsv_lvbench": Task("qsv_lvbench", LVBENCH, "test", _standard, Choice(), fields=("ability",))
}
