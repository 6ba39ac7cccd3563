"""MLVU (arXiv 2406.04264): nine tasks on videos of 3 minutes to 2 hours; seven are multiple choice, two need a text.

Read from the authors' `json/` (one file per task) or from re-packed parquet files, which have the options inside the
question. The test set has six options and no published answers. Averages: mean of the seven accuracies (M-Avg), and
mean of the judge's points in the two generation tasks (G-Avg).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from qsv_eval.data.annotation_files import read_rows
from qsv_eval.data.benchmark import Benchmark, BenchmarkSources
from qsv_eval.data.letters import answer_letter, split_options
from qsv_eval.data.media_index import MediaIndex
from qsv_eval.data.sample import Sample, SampleVideo
from qsv_eval.scoring.averages import mean_by, mean_of_verdicts
from qsv_eval.scoring.sample_result import SampleResult
from qsv_eval.scoring.scorers import Choice, JudgedAnswer
from qsv_eval.tasks.mvbench.task import question_block
from qsv_eval.tasks.task import Task, TaskPrompt

__all__ = ["CHOICE_TASKS", "MLVU", "MLVU_TEST", "TASKS"]

CHOICE_TASKS: Final = ("plotQA", "needle", "ego", "count", "order", "anomaly_reco", "topic_reasoning")
_GENERATION_TASKS: Final = ("sub_scene", "summary")
_ALIASES: Final = {"findNeedle": "needle", "needleQA": "needle"}
"""Names of tasks in the parquet files that differ from the authors'."""


def _choice(sources: BenchmarkSources) -> list[Sample] | None:
    return _read_json(sources, CHOICE_TASKS) or _read_parquet(sources, "**/test-*.parquet")


def _generation(sources: BenchmarkSources) -> list[Sample] | None:
    return _read_json(sources, _GENERATION_TASKS)


def _read_json(sources: BenchmarkSources, tasks: tuple[str, ...]) -> list[Sample] | None:
    """Read the authors' `json/<n>_<task>.json`, with videos in `video/<n>_<task>/`."""
    files = {file.stem.partition("_")[2]: file for file in sources.files("json/[0-9]*_*.json", "*/json/[0-9]*_*.json")}
    media = sources.media
    samples = [
        _sample(task, index, row, files[task].stem, media)
        for task in tasks
        if task in files
        for index, row in enumerate(read_rows([files[task]], ("video", "question")))
    ]
    return samples or None


def _sample(task: str, index: int, row: Mapping[str, Any], folder: str, media: MediaIndex) -> Sample:
    options = tuple(map(str, row.get("candidates") or ()))
    points = row.get("scoring_points")
    return Sample(
        id=f"{task}-{index}",
        video=_video(row, f"video/{folder}/{row['video']}", media),
        question=row["question"],
        options=options,
        answer=answer_letter(options, row["answer"]) if options else str(row.get("answer") or ""),
        cluster=f"{task}/{row['video']}",
        groups={"task": task},
        notes={"scoring_points": points if isinstance(points, str) else "\n".join(map(str, points))} if points else {},
    )


def _read_parquet(sources: BenchmarkSources, *patterns: str) -> list[Sample] | None:
    """Read the re-packed parquet files, whose questions hold the options."""
    files = sources.files(*patterns)
    if not files:
        return None
    media = sources.media
    samples = []
    for index, row in enumerate(read_rows(files, ("video_name", "question", "task_type"))):
        split = split_options(row["question"])
        samples.append(
            Sample(
                id=f"{row['task_type']}-{index}",
                video=_video(row, str(row["video_name"]), media),
                question=split.question,
                options=split.options,
                answer=str(row.get("answer") or ""),
                cluster=f"{row['task_type']}/{row['video_name']}",
                groups={"task": _ALIASES.get(str(row["task_type"]), str(row["task_type"]))},
            )
        )
    return samples


def _test(sources: BenchmarkSources) -> list[Sample] | None:
    """Read the test set from the authors' JSON list or the re-packed parquet files."""
    files = sources.files("*.json", "json/*.json")
    if not files:
        return _read_parquet(sources, "**/*.parquet")
    media = sources.media
    return [
        Sample(
            id=str(row.get("question_id") or f"{row['question_type']}-{index}"),
            video=_video(row, f"video/{row['video']}", media),
            question=row["question"],
            options=tuple(map(str, row["candidates"])),
            answer=answer_letter(row["candidates"], row["answer"]) if row.get("answer") else "",
            cluster=str(row["video"]),
            groups={"task": row["question_type"]},
        )
        for index, row in enumerate(read_rows(files, ("video", "question", "candidates", "question_type")))
    ]


def _video(row: Mapping[str, Any], path: str, media: MediaIndex) -> SampleVideo:
    path = path if Path(path).suffix else f"{path}.mp4"
    duration = row.get("duration")
    duration_s = float(duration) if isinstance(duration, int | float) else None
    return SampleVideo(path=str(media.expect(path)), duration_s=duration_s)


MLVU: Final = Benchmark(
    name="mlvu",
    sets={"choice": _choice, "generation": _generation},
    repos=("MLVU/MVLU", "sy1998/MLVU_dev"),
    annotations=("MLVU/json/*.json", "**/test-*.parquet"),
    hf_home="mlvu",
    needs="json/1_plotQA.json … and video/1_plotQA/ …, or test-*.parquet and the videos",
)

MLVU_TEST: Final = Benchmark(
    name="mlvu_test",
    sets={"test": _test},
    repos=("MLVU/MLVU_Test", "sy1998/MLVU_Test"),
    annotations=("*.json", "**/test-*.parquet"),
    hf_home="mlvu_test",
    needs="a JSON list or parquet file of the test questions, and the videos",
)


_SYSTEM: Final = "Carefully watch this video and pay attention to every detail. "
_CHOOSE: Final = "Based on your observations, select the best option that accurately addresses the question."

_RUBRICS: Final[Mapping[str, str]] = {"sub_scene": "mlvu_subscene", "summary": "mlvu_summary"}


def _official(sample: Sample) -> TaskPrompt:
    # The authors also prefill the reply with "Best option: ("; a chat model starts its own turn here.
    return TaskPrompt(f"{question_block(sample)}\nOnly give the best option.", _SYSTEM + _CHOOSE)


def _reference(sample: Sample) -> TaskPrompt:
    last = "Respond with only the letter (A, B, C or D) of the correct option."
    return TaskPrompt(f"{question_block(sample)}\n{last}")


def _open(sample: Sample) -> TaskPrompt:
    return TaskPrompt(sample.question, _SYSTEM)


def _rubrics(row: SampleResult) -> Sequence[str]:
    return [_RUBRICS[str(row["groups"]["task"])]]


def _submission(rows: Sequence[SampleResult]) -> list[dict[str, str]]:
    """Return the list for the authors' evaluation server; a reply without a letter has an empty option."""
    return [
        {"question_id": row["id"], "question_type": str(row["groups"]["task"]), "option": row["extracted"] or ""}
        for row in sorted(rows, key=lambda row: row["id"])
    ]


TASKS: Final[Mapping[str, Task]] = {
    "qsv_mlvu": Task("qsv_mlvu", MLVU, "choice", _official, Choice(), mean_by("task"), ("task",)),
    "qsv_mlvu_reference": Task("qsv_mlvu_reference", MLVU, "choice", _reference, Choice(), mean_by("task"), ("task",)),
    "qsv_mlvu_generation": Task(
        "qsv_mlvu_generation",
        MLVU,
        "generation",
        _open,
        JudgedAnswer(_rubrics),
        mean_of_verdicts(tuple(_RUBRICS.values())),
        ("task",),
    ),
    "qsv_mlvu_test": Task(
        "qsv_mlvu_test",
        MLVU_TEST,
        "test",
        _official,
        Choice(letters="ABCDEF"),
        mean_by("task"),
        ("task",),
        submission=_submission,
    ),
}
