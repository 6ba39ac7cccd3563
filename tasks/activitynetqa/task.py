"""ActivityNet-QA (arXiv 1906.02467): 8,000 questions with short answers on clips of about 3 minutes.

Read from the authors' JSON files or the hub's parquet file. Average: accuracy by a judge's verdicts; beside it the mean
of the judge's points.
"""

from collections.abc import Mapping
from typing import Any, Final

from qsv_eval.data.annotation_files import read_rows
from qsv_eval.data.benchmark import Benchmark, BenchmarkSources
from qsv_eval.data.media_index import MediaIndex
from qsv_eval.data.sample import Sample, SampleVideo
from qsv_eval.scoring.averages import mean_of_verdicts
from qsv_eval.scoring.scorers import JudgedAnswer
from qsv_eval.tasks.task import Task, TaskPrompt

__all__ = ["ACTIVITYNETQA", "TASKS"]

_KINDS: Final = ("motion", "spatial", "temporal", "yes/no", "colour", "object", "location", "number", "other")


def _original(sources: BenchmarkSources) -> list[Sample] | None:
    """Read the authors' `test_q.json` and `test_a.json`, which share `question_id`."""
    questions, answers = sources.files("test_q.json", "*/test_q.json"), sources.files("test_a.json", "*/test_a.json")
    if not (questions and answers):
        return None
    by_id = {row["question_id"]: row for row in read_rows(answers, ("question_id", "answer", "type"))}
    rows = read_rows(questions, ("question_id", "question", "video_name"))
    return [_sample({"answer": "", "type": 8} | by_id.get(row["question_id"], {}) | row, sources.media) for row in rows]


def _hub(sources: BenchmarkSources) -> list[Sample] | None:
    files = sources.files("data/test-*.parquet", "test-*.parquet")
    columns = ("question_id", "question", "video_name", "answer", "type")
    return [_sample(row, sources.media) for row in read_rows(files, columns)] if files else None


def _sample(row: Mapping[str, Any], media: MediaIndex) -> Sample:
    kind = int(row["type"])
    return Sample(
        id=str(row["question_id"]),
        video=SampleVideo(path=str(media.expect(f"all_test/v_{row['video_name']}.mp4"))),
        question=row["question"],
        answer=str(row["answer"]),
        cluster=row["video_name"],
        groups={"kind": _KINDS[kind] if 0 <= kind < len(_KINDS) else str(kind)},
    )


ACTIVITYNETQA: Final = Benchmark(
    name="activitynetqa",
    sets={"test": lambda sources: _original(sources) or _hub(sources)},
    repos=("lmms-lab/ActivityNetQA", "lmms-eval/ActivityNetQA"),
    annotations=("data/test-*.parquet",),
    hf_home="activitynetqa",
    needs="test_q.json and test_a.json or data/test-*.parquet, and all_test/v_*.mp4",
)


def _standard(sample: Sample) -> TaskPrompt:
    question = sample.question[:1].upper() + sample.question[1:]
    return TaskPrompt(f"{question}? Answer the question using a single word or phrase.")


def _reference(sample: Sample) -> TaskPrompt:
    # Byte for byte the reference's prompt, "an" included (docs/reference.md).
    return TaskPrompt(
        "Please read the following question for the given video carefully an give a yes/no answer or a short phrase "
        f"answer.\nQuestion: {sample.question}"
    )


_PROMPTS: Final = {"qsv_activitynetqa": _standard, "qsv_activitynetqa_reference": _reference}

TASKS: Final[Mapping[str, Task]] = {
    name: Task(
        name,
        ACTIVITYNETQA,
        "test",
        prompt,
        JudgedAnswer(lambda row: ["open_qa"]),
        fields=("kind",),
        extra_averages={"score": mean_of_verdicts(["open_qa"])},
    )
    for name, prompt in _PROMPTS.items()
}
