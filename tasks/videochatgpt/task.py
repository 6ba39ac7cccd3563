"""Video-ChatGPT's quantitative benchmark (arXiv 2306.05424): general and temporal questions, and pairs of paraphrases.

Read from the authors' JSON files or the hub's three configurations. Average: mean of five dimensions, each from 0 to 5
by a judge.
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


def _read(sources: BenchmarkSources) -> list[Sample] | None:
    """Read the authors' three JSON files, which have two naming schemes, or the hub's three configurations."""
    samples: list[Sample] = []
    for name in _SETS:
        files = sources.files(f"{name}_qa.json", f"*/{name}_qa.json", f"videoChat_{name}_qa.json")
        files = files or sources.files(f"{name.title()}/*.parquet", f"**/{name.title()}/*.parquet")
        if not files:
            return None
        rows = read_rows(files, ("video_name",))
        entries = _pairs(rows) if name == "consistency" else [((_text(row, "Q", "question"),), row) for row in rows]
        samples += _samples(name, entries, sources.media)
    return samples


_Entry = tuple[Sequence[str], Mapping[str, Any]]
"""One question, or the two of a pair, and their row."""


def _pairs(rows: Sequence[Mapping[str, Any]]) -> list[_Entry]:
    """Return the two questions of each pair.

    The authors have both in a record. The hub has two rows for a pair, one with the text "None" as `question_2` and one
    with it as `question_1`; rows of the same video and answer are paired in their order.
    """
    if all("Q1" in row for row in rows):
        return [((row["Q1"], row["Q2"]), row) for row in rows]
    seconds: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        if not _is_absent(row.get("question_2")):
            seconds[row["video_name"], row["answer"]].append(row["question_2"])
    pairs: list[_Entry] = []
    for row in rows:
        if _is_absent(row.get("question_1")):
            continue
        if unpaired := seconds[row["video_name"], row["answer"]]:
            pairs.append(((row["question_1"], unpaired.pop(0)), row))
    return pairs


def _is_absent(question: Any) -> bool:
    return question in (None, "", "None")


def _text(row: Mapping[str, Any], *names: str) -> str:
    return next((str(row[name]) for name in names if name in row), "")


def _samples(name: str, entries: Sequence[_Entry], media: MediaIndex) -> list[Sample]:
    samples = []
    for index, (questions, row) in enumerate(entries):
        video = SampleVideo(path=str(media.expect(f"Test_Videos/{row['video_name']}.mp4")))
        for number, question in enumerate(questions, 1):
            samples.append(
                Sample(
                    id=f"{name}-{index}" if len(questions) == 1 else f"{name}-{index}-{number}",
                    video=video,
                    question=question,
                    answer=_text(row, "A", "answer"),
                    cluster=row["video_name"],
                    groups={"set": name},
                    notes={} if len(questions) == 1 else {"pair": f"{name}-{index}"},
                )
            )
    return samples


VIDEOCHATGPT: Final = Benchmark(
    name="videochatgpt",
    sets={"test": _read},
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


def _rubrics(row: SampleResult) -> Sequence[str]:
    return _DIMENSIONS[str(row["groups"]["set"])]


TASKS: Final[Mapping[str, Task]] = {
    "qsv_videochatgpt": Task(
        "qsv_videochatgpt", VIDEOCHATGPT, "test", _bare, JudgedAnswer(_rubrics), mean_of_verdicts(_ALL), ("set",)
    )
}
