"""NExT-QA with options; the average is over all questions, beside it by kind (causal, temporal, descriptive)."""

from collections.abc import Mapping
from typing import Final

from qsv_eval.data.letters import lettered
from qsv_eval.data.sample import Sample
from qsv_eval.scoring.scorers import Choice
from qsv_eval.tasks.nextqa.layout import NEXTQA
from qsv_eval.tasks.task import ANSWER_BY_LETTER, Prompt, Task

__all__ = ["TASKS"]


def _standard(sample: Sample) -> Prompt:
    return Prompt("\n".join([sample.question, *lettered(sample.options), ANSWER_BY_LETTER]))


def _reference(sample: Sample) -> Prompt:
    # Byte for byte, blanks at the beginning of lines included (spec/benchmarks.md section 5.2).
    return Prompt(
        "\n".join(
            [
                "Carefully read the following question and select the letter corresponding to the correct answer. "
                "Highlight the applicable choices without giving explanations.",
                f" Question: {sample.question}",
                "Options:",
                *lettered(sample.options, " {letter}. {option}"),
            ]
        )
    )


_ASKED: Final = {"qsv_nextqa": _standard, "qsv_nextqa_reference": _reference}

TASKS: Final[Mapping[str, Task]] = {
    name: Task(name, NEXTQA, "test", ask, Choice(letters="ABCDE"), fields=("kind", "type"))
    for name, ask in _ASKED.items()
}
