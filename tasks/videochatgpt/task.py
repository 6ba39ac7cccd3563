"""Video-ChatGPT's quantitative benchmark: questions in general, on time, and pairs that ask the same in two ways.

Video-ChatGPT's benchmark: five dimensions from 0 to 5, averaged with equal weight.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from qsv_eval.data.annotation_files import read_rows
from qsv_eval.data.benchmark import Benchmark, BenchmarkSources
from qsv_eval.data.media_index import MediaIndex
from qsv_eval.data.sample import Sample, SampleVideo
from qsv_eval.scoring.averages import mean_of_verdicts
from qsv_eval.scoring.sample_result import SampleResult
from qsv_eval.scoring.scorers import JudgedAnswer
from qsv_eval.tasks.task import Task, TaskPrompt

__all__ = ["TASKS", "VIDEOCHATGPT"]


_SETS: Final = ("generic", "temporal", "consistency")


def _all(sources: BenchmarkSources) -> list[Sample] | None:
    """Read the authors' three JSON files under either name, or the hub's three configurations."""
    samples: list[Sample] = []
    for name in _SETS:
        files = sources.files(f"{name}_qa.json", f"*/{name}_qa.json", f"videoChat_{name}_qa.json")
        files = files or sources.files(f"{name.title()}/*.parquet", f"**/{name.title()}/*.parquet")
        if not files:
            return None
        rows = read_rows(files, ("video_name",))
        pairs = _pairs(rows) if name == "consistency" else [((_said(row, "Q", "question"),), row) for row in rows]
        samples += _samples(name, pairs, sources.media)
    return samples


_Asked = tuple[Sequence[str], Mapping[str, Any]]
"""The question, or the two of a pair, and the record."""


def _pairs(rows: Sequence[Mapping[str, Any]]) -> list[_Asked]:
    """Put the questions of each pair together.

    The authors have both in a record. The hub has made two records of each, in one of which `question_2` is the word
    None and in the other `question_1`: of the same video and answer, the first belong together, then the second.
    """
    if all("Q1" in row for row in rows):
        return [((row["Q1"], row["Q2"]), row) for row in rows]
    seconds: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        if not _is_absent(row.get("question_2")):
            seconds[row["video_name"], row["answer"]].append(row["question_2"])
    pairs: list[_Asked] = []
    for row in rows:
        if _is_absent(row.get("question_1")):
            continue
        waiting = seconds[row["video_name"], row["answer"]]
        if waiting:
            pairs.append(((row["question_1"], waiting.pop(0)), row))
    return pairs


def _is_absent(question: Any) -> bool:
    return question in (None, "", "None")


def _said(row: Mapping[str, Any], *names: str) -> str:
    return next((str(row[name]) for name in names if name in row), "")


def _samples(name: str, asked: Sequence[_Asked], media: MediaIndex) -> list[Sample]:
    samples = []
    for number, (questions, row) in enumerate(asked):
        video = SampleVideo(path=str(media.expect(f"Test_Videos/{row['video_name']}.mp4")))
        for place, question in enumerate(questions, 1):
            samples.append(
                Sample(
                    id=f"{name}-{number}" if len(questions) == 1 else f"{name}-{number}-{place}",
                    video=video,
                    question=question,
                    answer=_said(row, "A", "answer"),
                    cluster=row["video_name"],
                    groups={"set": name},
                    notes={} if len(questions) == 1 else {"pair": f"{name}-{number}"},
                )
            )
    return samples


VIDEOCHATGPT: Final = Benchmark(
    name="videochatgpt",
    sets={"test": _all},
    repos=("lmms-lab/VideoChatGPT", "lmms-eval/VideoChatGPT"),
    annotations=("Generic/*.parquet", "Temporal/*.parquet", "Consistency/*.parquet"),
    hf_home="videochatgpt",
    needs="generic_qa.json, temporal_qa.json, consistency_qa.json and Test_Videos/*.mp4",
)


_DIMENSIONS: Final[Mapping[str, Sequence[str]]] = {
    "generic": ("vcg_correctness", "vcg_detail", "vcg_context"),
    "temporal": ("vcg_temporal",),
    "consistency": ("vcg_consistency",),
}
_ALL: Final = tuple(name for names in _DIMENSIONS.values() for name in names)


def _bare(sample: Sample) -> TaskPrompt:
    return TaskPrompt(sample.question)


def _wanted(row: SampleResult) -> Sequence[str]:
    return _DIMENSIONS[str(row["groups"]["set"])]


TASKS: Final[Mapping[str, Task]] = {
    "qsv_videochatgpt": Task(
        "qsv_videochatgpt", VIDEOCHATGPT, "test", _bare, JudgedAnswer(_wanted), mean_of_verdicts(_ALL), ("set",)
    )
}
