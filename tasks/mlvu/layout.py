"""MLVU: nine kinds of tasks on videos of 3 minutes to 2 hours; seven have options, two want a text.

The authors' own folder has one JSON file for each task; the re-packed parquet files have the same questions, with the
options inside the question and the answer as a letter. The test set has six options and no published answers.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from qsv_eval.data.benchmark import Benchmark, Sources
from qsv_eval.data.letters import right_letter, split_options
from qsv_eval.data.media import MediaIndex
from qsv_eval.data.sample import Sample, Video
from qsv_eval.data.tables import read_rows

__all__ = ["CHOICE_TASKS", "MLVU", "MLVU_TEST"]

CHOICE_TASKS: Final = ("plotQA", "needle", "ego", "count", "order", "anomaly_reco", "topic_reasoning")
_GENERATION_TASKS: Final = ("sub_scene", "summary")


def _choice(sources: Sources) -> list[Sample] | None:
    return _tasks(sources, CHOICE_TASKS) or _parquet(sources, "**/test-*.parquet")


def _generation(sources: Sources) -> list[Sample] | None:
    return _tasks(sources, _GENERATION_TASKS)


def _tasks(sources: Sources, wanted: tuple[str, ...]) -> list[Sample] | None:
    """Read the authors' `json/<number>_<task>.json`, with videos in `video/<number>_<task>/`."""
    files = {file.stem.partition("_")[2]: file for file in sources.files("json/[0-9]*_*.json", "*/json/[0-9]*_*.json")}
    media = sources.media
    samples = [
        _sample(task, number, row, files[task].stem, media)
        for task in wanted
        if task in files
        for number, row in enumerate(read_rows([files[task]], ("video", "question")))
    ]
    return samples or None


def _sample(task: str, number: int, row: Mapping[str, Any], folder: str, media: MediaIndex) -> Sample:
    options = tuple(map(str, row.get("candidates") or ()))
    points = row.get("scoring_points")
    return Sample(
        id=f"{task}-{number}",
        video=_video(row, f"video/{folder}/{row['video']}", media),
        question=row["question"],
        options=options,
        answer=right_letter(options, row["answer"]) if options else str(row.get("answer") or ""),
        cluster=f"{task}/{row['video']}",
        groups={"task": task},
        notes={"scoring_points": points if isinstance(points, str) else "\n".join(map(str, points))} if points else {},
    )


def _parquet(sources: Sources, *patterns: str) -> list[Sample] | None:
    files = sources.files(*patterns)
    if not files:
        return None
    media = sources.media
    samples = []
    for number, row in enumerate(read_rows(files, ("video_name", "question", "task_type"))):
        posed = split_options(row["question"])
        samples.append(
            Sample(
                id=f"{row['task_type']}-{number}",
                video=_video(row, str(row["video_name"]), media),
                question=posed.question,
                options=posed.options,
                answer=str(row.get("answer") or ""),
                cluster=f"{row['task_type']}/{row['video_name']}",
                groups={"task": _ALIASES.get(str(row["task_type"]), str(row["task_type"]))},
            )
        )
    return samples


_ALIASES: Final = {"findNeedle": "needle", "needleQA": "needle"}


def _test(sources: Sources) -> list[Sample] | None:
    """Read the test set: a JSON list of the authors, or the re-packed parquet files."""
    files = sources.files("*.json", "json/*.json")
    if not files:
        return _parquet(sources, "**/*.parquet")
    media = sources.media
    return [
        Sample(
            id=str(row.get("question_id") or f"{row['question_type']}-{number}"),
            video=_video(row, f"video/{row['video']}", media),
            question=row["question"],
            options=tuple(map(str, row["candidates"])),
            answer=right_letter(row["candidates"], row["answer"]) if row.get("answer") else "",
            cluster=str(row["video"]),
            groups={"task": row["question_type"]},
        )
        for number, row in enumerate(read_rows(files, ("video", "question", "candidates", "question_type")))
    ]


def _video(row: Mapping[str, Any], wanted: str, media: MediaIndex) -> Video:
    wanted = wanted if Path(wanted).suffix else f"{wanted}.mp4"
    stated = row.get("duration")
    return Video(path=str(media.expect(wanted)), duration_s=float(stated) if isinstance(stated, int | float) else None)


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
