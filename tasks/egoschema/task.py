"""EgoSchema (arXiv 2308.09126), the 500 questions with published answers: three-minute clips from a first-person view.

Read from the authors' JSON files or the hub's parquet file. Average: accuracy over all questions.
"""

from collections.abc import Mapping
from typing import Any, Final

from qsv_eval.data.annotation_files import read_rows
from qsv_eval.data.benchmark import Benchmark, BenchmarkSources
from qsv_eval.data.letters import LETTERS, letter_options, split_options
from qsv_eval.data.media_index import MediaIndex
from qsv_eval.data.sample import Sample, SampleVideo
from qsv_eval.scoring.scorers import Choice
from qsv_eval.tasks.task import ANSWER_BY_LETTER, Task, TaskPrompt

__all__ = ["EGOSCHEMA", "TASKS"]


def _original(sources: BenchmarkSources) -> list[Sample] | None:
    """Read the authors' `questions.json` and `subset_answers.json`, which maps questions to option indices."""
    import json

    files = sources.files("questions.json", "*/questions.json")
    answers = sources.files("subset_answers.json", "*/subset_answers.json")
    if not (files and answers):
        return None
    answer_indices: Mapping[str, int] = json.loads(answers[0].read_text("utf-8"))
    rows = read_rows(files, ("q_uid", "question"))
    return [
        _sample(
            row["q_uid"],
            row["q_uid"],
            row["question"],
            [str(row[f"option {i}"]) for i in range(5)],
            answer_indices[row["q_uid"]],
            sources.media,
        )
        for row in rows
        if row["q_uid"] in answer_indices
    ]


def _hub(sources: BenchmarkSources) -> list[Sample] | None:
    files = sources.files("Subset/*.parquet", "**/Subset/*.parquet")
    if not files:
        return None
    rows = read_rows(files, ("question_idx", "question", "video_idx", "option", "answer"))
    return [
        _sample(
            str(row["question_idx"]), row["video_idx"], row["question"], row["option"], row["answer"], sources.media
        )
        for row in rows
    ]


def _sample(id_: str, video: str, question: str, options: list[str], answer: Any, media: MediaIndex) -> Sample:
    # Options on the hub begin with their letters.
    plain = split_options("\n".join(options)).options
    return Sample(
        id=id_,
        video=SampleVideo(path=str(media.expect(f"videos/{video}.mp4"))),
        question=question,
        options=plain if len(plain) == len(options) else tuple(options),
        answer=LETTERS[int(answer)],
        cluster=video,
    )


EGOSCHEMA: Final = Benchmark(
    name="egoschema",
    sets={"subset": lambda sources: _original(sources) or _hub(sources)},
    repos=("lmms-lab/egoschema", "lmms-eval/egoschema"),
    annotations=("Subset/*.parquet",),
    hf_home="egoschema",
    needs="questions.json and subset_answers.json or Subset/*.parquet, and videos/*.mp4",
)


def _standard(sample: Sample) -> TaskPrompt:
    return TaskPrompt("\n".join([sample.question, *letter_options(sample.options), ANSWER_BY_LETTER]))


TASKS: Final[Mapping[str, Task]] = {
    "qsv_egoschema": Task("qsv_egoschema", EGOSCHEMA, "subset", _standard, Choice(letters="ABCDE"))
}
