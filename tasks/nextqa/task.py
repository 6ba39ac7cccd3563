"""NExT-QA with options: 8,564 questions why, how, when and what on clips of some 44 seconds."""

from collections.abc import Mapping
from typing import Any, Final

from qsv_eval.data.annotation_files import read_rows
from qsv_eval.data.benchmark import Benchmark, BenchmarkSources
from qsv_eval.data.letters import LETTERS, letter_options
from qsv_eval.data.sample import Sample, SampleVideo
from qsv_eval.scoring.scorers import Choice
from qsv_eval.tasks.task import ANSWER_BY_LETTER, Task, TaskPrompt

__all__ = ["NEXTQA", "TASKS"]

# MERGED DOCSTRINGS, to be worked into the one above:
# NExT-QA with options; the average is over all questions, beside it by kind (causal, temporal, descriptive).

_OPTIONS: Final = tuple(f"a{number}" for number in range(5))
_COLUMNS: Final = ("video", "question", "answer", "qid", "type", *_OPTIONS)
_KINDS: Final[Mapping[str, str]] = {"C": "causal", "T": "temporal", "D": "descriptive"}


def _table(sources: BenchmarkSources) -> list[Sample] | None:
    """Read the authors' `test.csv`, or the parquet files of the configuration MC; nothing of the validation split."""
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
            # The first letter is the kind: CW why, CH how; TN next, TP previous, TC meanwhile; DC, DL, DO described.
            groups={"kind": _KINDS.get(str(row["type"])[0], "other"), "type": str(row["type"])},
        )

    return [sample(row) for row in read_rows(files, _COLUMNS)]


NEXTQA: Final = Benchmark(
    name="nextqa",
    sets={"test": _table},
    repos=("lmms-lab/NExTQA", "lmms-eval/NExTQA"),
    annotations=("MC/test-*.parquet",),
    hf_home="nextqa",
    needs="test.csv or MC/test-*.parquet, and NExTVideo/*.mp4",
)


def _standard(sample: Sample) -> TaskPrompt:
    return TaskPrompt("\n".join([sample.question, *letter_options(sample.options), ANSWER_BY_LETTER]))


def _reference(sample: Sample) -> TaskPrompt:
    # Byte for byte, blanks at the beginning of lines included (spec/benchmarks.md section 5.2).
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


_ASKED: Final = {"qsv_nextqa": _standard, "qsv_nextqa_reference": _reference}

TASKS: Final[Mapping[str, Task]] = {
    name: Task(name, NEXTQA, "test", ask, Choice(letters="ABCDE"), fields=("kind", "type"))
    for name, ask in _ASKED.items()
}
