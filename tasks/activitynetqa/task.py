"""ActivityNet-QA: short answers, which a judge compares with the annotated ones."""

from collections.abc import Mapping
from typing import Final

from qsv_eval.data.sample import Sample
from qsv_eval.scoring.averages import mean_of_verdicts
from qsv_eval.scoring.scorers import Judged
from qsv_eval.tasks.activitynetqa.layout import ACTIVITYNETQA
from qsv_eval.tasks.task import Prompt, Task

__all__ = ["TASKS"]


def _standard(sample: Sample) -> Prompt:
    question = sample.question[:1].upper() + sample.question[1:]
    return Prompt(f"{question}? Answer the question using a single word or phrase.")


def _reference(sample: Sample) -> Prompt:
    # Byte for byte, "an" included (spec/benchmarks.md section 6.2).
    return Prompt(
        "Please read the following question for the given video carefully an give a yes/no answer or a short phrase "
        f"answer.\nQuestion: {sample.question}"
    )


_ASKED: Final = {"qsv_activitynetqa": _standard, "qsv_activitynetqa_reference": _reference}

TASKS: Final[Mapping[str, Task]] = {
    name: Task(
        name,
        ACTIVITYNETQA,
        "test",
        ask,
        Judged(lambda row: ["open_qa"]),
        fields=("kind",),
        also={"score": mean_of_verdicts(["open_qa"])},
    )
    for name, ask in _ASKED.items()
}
