"""NExT-QA (arXiv 2105.08276), multiple choice: 8,564 test questions with five options on clips of about 44 seconds.

Read from the authors' `test.csv` or the hub's parquet file. Average: accuracy over all questions.
"""

from collections.abc import Mapping
from typing import Any, Final

from qsv_eval.data.annotation_files import read_rows
from qsv_eval.data.benchmark import Benchmark, BenchmarkSources
from qsv_eval.data.letters import LETTERS, letter_options
from qsv_eval.data.sample import Sample, SampleVideo
from qsv_eval.scoring.scorers import Choice
from qsv_eval.tasks.task import ANSWER_BY_LETTER, Task, TaskPrompt

__all__ = ["NEXTQA", "TASKS"]

_OPTIONS: Final = tuple(f"a{i}" for i in range(5))
_COLUMNS: Final = ("video", "question", "answer", "qid", "type", *_OPTIONS)
_KINDS: Final[Mapping[str, str]] = {"C": "causal", "T": "temporal", "D": "descriptive"}


def _read(sources: BenchmarkSources) -> list[Sample] | None:
    """Read the authors' `test.csv`, or the test split in the parquet files of the configuration MC."""
    files = sources.files("test.csv", "*/test.csv", "MC/test-*.parquet", "**/MC/test-*.parquet", "MC*/*.parquet")
    if not files:
        return None
    media = sources.media

    def sample(row: Mapping[str, Any]) -> Sample:
        return Sample(
            id=f"{row['video']}-{row['qid']}",
            video=SampleVideo(path=str(media.expect(f"NExTVideo/{row['video']}.mp4"))),
            question=row["question"],
            options=tuple(str(row[option]) for option in _OPTIONS),
            answer=LETTERS[int(row["answer"])],
            cluster=str(row["video"]),
            # Types: CW why, CH how; TN next, TP previous, TC meanwhile; DC count, DL location, DO other.
            groups={"kind": _KINDS.get(str(row["type"])[0], "other"), "type": str(row["type"])},
        )

    return [sample(row) for row in read_rows(files, _COLUMNS)]


NEXTQA: Final = Benchmark(
    name="nextqa",
    sets={"test": _read},
    repos=("lmms-lab/NExTQA", "lmms-eval/NExTQA"),
    annotations=("MC/test-*.parquet",),
    hf_home="nextqa",
    needs="test.csv or MC/test-*.parquet, and NExTVideo/*.mp4",
)


def _standard(sample: Sample) -> TaskPrompt:
    return TaskPrompt("\n".join([sample.question, *letter_options(sample.options), ANSWER_BY_LETTER]))


def _reference(sample: Sample) -> TaskPrompt:
    # Byte for byte the reference's prompt, blanks at the beginning of lines included (docs/reference.md).
    return TaskPrompt(
        "\n".join(
            [
                "Carefully read the following question and select the letter corresponding to the correct answer. "
                "Highlight the applicable choices without giving explanations.",
                f" Question: {sample.question}",
                "Options:",
                *letter_options(sample.options, " {letter}. {option}"),
            ]
        )
    )


_PROMPTS: Final = {"qsv_nextqa": _standard, "qsv_nextqa_reference": _reference}

TASKS: Final[Mapping[str, Task]] = {
    name: Task(name, NEXTQA, "test", prompt, Choice(letters="ABCDE"), fields=("kind", "type"))
    for name, prompt in _PROMPTS.items()
}
