"""Image benchmarks as they are asked and scored."""

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

_SHORTLY: Final = "Answer the question using a single word or phrase."

_MME_PERCEPTION: Final = (
    *("existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR"),
)
_MME_COGNITION: Final = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")


def _shortly(sample: Sample) -> TaskPrompt:
    return TaskPrompt(f"{sample.question}\n{_SHORTLY}")


def _in_one_word(sample: Sample) -> TaskPrompt:
    return TaskPrompt(f"{sample.question}\nAnswer the question with a single word.")


def _choice(sample: Sample) -> TaskPrompt:
    return TaskPrompt("\n".join([sample.question, *letter_options(sample.options), ANSWER_BY_LETTER]))


def _choice_with_context(sample: Sample) -> TaskPrompt:
    hint = sample.notes.get("hint")
    lines = [f"Context: {hint}"] if hint else []
    return TaskPrompt("\n".join([*lines, sample.question, *letter_options(sample.options), ANSWER_BY_LETTER]))


def _mmbench(sample: Sample) -> TaskPrompt:
    hint = sample.notes.get("hint")
    options = "\n".join(letter_options(sample.options))
    question = f"{sample.question}\nThere are several options:\n{options}\n\n{ANSWER_BY_LETTER}"
    return TaskPrompt(f"{hint}\n{question}" if hint else question)


def _mmstar(sample: Sample) -> TaskPrompt:
    return TaskPrompt(f"{sample.question}\n{ANSWER_BY_LETTER.removesuffix('.')}")


def _choice_or_short(sample: Sample) -> TaskPrompt:
    return _choice(sample) if sample.options else _shortly(sample)


def _realworldqa(sample: Sample) -> TaskPrompt:
    lines = [sample.question, *letter_options(sample.options)]
    return TaskPrompt("\n".join([*lines, sample.notes["instruction"]] if sample.options else lines))


_MME_TOTAL: Final = points("category", (*_MME_PERCEPTION, *_MME_COGNITION))
_EXACT: Final = Short("exact, normalised", short_answer.exact_match)

_Made = tuple[HubTable, Callable[[Sample], TaskPrompt], Scorer, Average, tuple[str, ...]]
_ALSO: Final[Mapping[str, Mapping[str, Average]]] = {
    "mme": {"perception": points("category", _MME_PERCEPTION), "cognition": points("category", _MME_COGNITION)}
}


def _hub(name: str, repo: str, split: str, **options: Any) -> HubTable:
    """Return a table under the name that most know, or that of the mirror which lmms-eval 0.7.3 reads."""
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

_ALL: Final[Mapping[str, _Made]] = {
    "mme": (_hub("mme", "MME", "test"), _shortly, YesNo(), _MME_TOTAL, ("category",)),
    "mmbench": (
        _hub("mmbench", "MMBench", "dev", config="en"),
        _mmbench,
        Choice(letters="ABCDE"),
        circular("circle"),
        ("ability", "category"),
    ),
    "seedbench": (_hub("seedbench", "SEED-Bench", "test"), _choice, Choice(), POOLED, ("type",)),
    "pope": (_hub("pope", "POPE", "test"), _shortly, YesNo(), f1_by("subset", "yes"), ("subset",)),
    "scienceqa": (
        _hub("scienceqa", "ScienceQA", "test", config="ScienceQA-IMG"),
        _choice_with_context,
        Choice(letters="ABCDE"),
        POOLED,
        ("subject",),
    ),
    "gqa": (_GQA, _shortly, _EXACT, POOLED, ()),
    "textvqa": (
        _hub("textvqa", "textvqa", "validation"),
        _shortly,
        Short("VQA accuracy", short_answer.vqa_accuracy),
        POOLED,
        (),
    ),
    "ai2d": (_hub("ai2d", "ai2d", "test"), _choice, Choice(), POOLED, ()),
    "chartqa": (
        _hub("chartqa", "ChartQA", "test"),
        _in_one_word,
        NumberOrShort(Short("relaxed accuracy", short_answer.relaxed_accuracy)),
        POOLED,
        ("type",),
    ),
    "docvqa": (
        _hub("docvqa", "DocVQA", "validation", config="DocVQA"),
        _shortly,
        Short("ANLS", short_answer.anls),
        POOLED,
        (),
    ),
    "mmmu": (_MMMU, _choice_or_short, ChoiceOrShort(_EXACT), POOLED, ("subject",)),
    "mmstar": (_MMSTAR, _mmstar, Choice(), mean_by("category"), ("category", "ability")),
    "realworldqa": (_hub("realworldqa", "RealWorldQA", "test"), _realworldqa, ChoiceOrShort(_EXACT), POOLED, ()),
    "muirbench": (_MUIRBENCH, _choice, Choice(letters="ABCDE"), POOLED, ("task", "relation")),
    "mantis": (_MANTIS, _choice_or_short, ChoiceOrShort(_EXACT), POOLED, ("type",)),
}

TASKS: Final[Mapping[str, Task]] = {
    f"qsv_{name}": Task(f"qsv_{name}", table, "", ask, scorer, average, fields, _ALSO.get(name, {}))
    for name, (table, ask, scorer, average, fields) in _ALL.items()
}
