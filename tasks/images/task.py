"""Image benchmarks: tables of the hub, prompts, scorers and averages.

`converters.py` reads the rows of the tables. Average: accuracy over all questions, unless the task names another one.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from qsv_eval.data.letters import letter_options
from qsv_eval.data.sample import Sample
from qsv_eval.scoring import short_answer
from qsv_eval.scoring.averages import POOLED, Average, circular, f1_by, mean_by, points
from qsv_eval.scoring.scorers import Choice, ChoiceOrShort, NumberOrShort, Scorer, Short, YesNo
from qsv_eval.tasks.images import converters
from qsv_eval.tasks.images.source import HubTable
from qsv_eval.tasks.task import ANSWER_BY_LETTER, Task, TaskPrompt

__all__ = ["TASKS"]


def _hub(name: str, repo: str, split: str, **options: Any) -> HubTable:
    """Return a table by its original repository, or else the mirror that lmms-eval 0.7.3 reads."""
    return HubTable(name, (f"lmms-lab/{repo}", f"lmms-lab-encoder/{repo}"), split, getattr(converters, name), **options)


_GQA: Final = _hub(
    "gqa",
    "GQA",
    "testdev",
    config="testdev_balanced_instructions",
    joined=("testdev_balanced_images", "imageId", "id"),
)
_MMMU: Final = _hub("mmmu", "MMMU", "validation", images=tuple(f"image_{number}" for number in range(1, 8)))
_MMSTAR: Final = HubTable("mmstar", ("Lin-Chen/MMStar",), "val", converters.mmstar)
_MUIRBENCH: Final = HubTable(
    "muirbench", ("MUIRBENCH/MUIRBENCH",), "test", converters.muirbench, images=("image_list",)
)
_MANTIS: Final = HubTable(
    "mantis", ("TIGER-Lab/Mantis-Eval",), "test", converters.mantis, images=("images",), config="mantis_eval"
)


def _short(sample: Sample) -> TaskPrompt:
    return TaskPrompt(f"{sample.question}\nAnswer the question using a single word or phrase.")


def _one_word(sample: Sample) -> TaskPrompt:
    return TaskPrompt(f"{sample.question}\nAnswer the question with a single word.")


def _choice(sample: Sample) -> TaskPrompt:
    return TaskPrompt("\n".join([sample.question, *letter_options(sample.options), ANSWER_BY_LETTER]))


def _choice_with_context(sample: Sample) -> TaskPrompt:
    hint = sample.notes.get("hint")
    lines = [f"Context: {hint}"] if hint else []
    return TaskPrompt("\n".join([*lines, sample.question, *letter_options(sample.options), ANSWER_BY_LETTER]))


def _choice_or_short(sample: Sample) -> TaskPrompt:
    return _choice(sample) if sample.options else _short(sample)


def _mmbench(sample: Sample) -> TaskPrompt:
    hint = sample.notes.get("hint")
    options = "\n".join(letter_options(sample.options))
    question = f"{sample.question}\nThere are several options:\n{options}\n\n{ANSWER_BY_LETTER}"
    return TaskPrompt(f"{hint}\n{question}" if hint else question)


def _mmstar(sample: Sample) -> TaskPrompt:
    return TaskPrompt(f"{sample.question}\n{ANSWER_BY_LETTER.removesuffix('.')}")


def _realworldqa(sample: Sample) -> TaskPrompt:
    lines = [sample.question, *letter_options(sample.options)]
    return TaskPrompt("\n".join([*lines, sample.notes["instruction"]] if sample.options else lines))


_MME_PERCEPTION: Final = (
    *("existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR"),
)
_MME_COGNITION: Final = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")
_MME_TOTAL: Final = points("category", (*_MME_PERCEPTION, *_MME_COGNITION))
_MME_PARTS: Final = {"perception": points("category", _MME_PERCEPTION), "cognition": points("category", _MME_COGNITION)}
_EXACT: Final = Short("exact, normalised", short_answer.exact_match)
_VQA: Final = Short("VQA accuracy", short_answer.vqa_accuracy)
_RELAXED: Final = NumberOrShort(Short("relaxed accuracy", short_answer.relaxed_accuracy))
_ANLS: Final = Short("ANLS", short_answer.anls)


def _task(
    table: HubTable,
    prompt: Callable[[Sample], TaskPrompt],
    scorer: Scorer,
    fields: tuple[str, ...] = (),
    average: Average = POOLED,
    extra_averages: Mapping[str, Average] | None = None,
) -> Task:
    return Task(f"qsv_{table.name}", table, "", prompt, scorer, average, fields, extra_averages or {})


_TASKS: Final = (
    _task(_hub("mme", "MME", "test"), _short, YesNo(), ("category",), _MME_TOTAL, _MME_PARTS),
    _task(
        _hub("mmbench", "MMBench", "dev", config="en"),
        _mmbench,
        Choice(letters="ABCDE"),
        ("ability", "category"),
        circular("circle"),
    ),
    _task(_hub("seedbench", "SEED-Bench", "test"), _choice, Choice(), ("type",)),
    _task(_hub("pope", "POPE", "test"), _short, YesNo(), ("subset",), f1_by("subset", "yes")),
    _task(
        _hub("scienceqa", "ScienceQA", "test", config="ScienceQA-IMG"),
        _choice_with_context,
        Choice(letters="ABCDE"),
        ("subject",),
    ),
    _task(_GQA, _short, _EXACT),
    _task(_hub("textvqa", "textvqa", "validation"), _short, _VQA),
    _task(_hub("ai2d", "ai2d", "test"), _choice, Choice()),
    _task(_hub("chartqa", "ChartQA", "test"), _one_word, _RELAXED, ("type",)),
    _task(_hub("docvqa", "DocVQA", "validation", config="DocVQA"), _short, _ANLS),
    _task(_MMMU, _choice_or_short, ChoiceOrShort(_EXACT), ("subject",)),
    _task(_MMSTAR, _mmstar, Choice(), ("category", "ability"), mean_by("category")),
    _task(_hub("realworldqa", "RealWorldQA", "test"), _realworldqa, ChoiceOrShort(_EXACT)),
    _task(_MUIRBENCH, _choice, Choice(letters="ABCDE"), ("task", "relation")),
    _task(_MANTIS, _choice_or_short, ChoiceOrShort(_EXACT), ("type",)),
)

TASKS: Final[Mapping[str, Task]] = {task.name: task for task in _TASKS}
