"""Training from the command line: a stage, or the whole course of quicksviewer-tiny, tried out on the way."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast, get_args

from qsv_eval.demo.draw import sampled_frames, sampled_instants_s
from qsv_eval.demo.questions import Question, clip_questions
from qsv_eval.demo.scene import ClipSpec, make_clip
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.quicksviewer import Quicksviewer, Reply
from qsv_eval.model_adapters.quicksviewer.processing import Video
from qsv_eval.model_adapters.quicksviewer.replying import generate
from qsv_eval.scoring.extract import extract_letter
from qsv_eval.training.recipe import Recipe, vary
from qsv_eval.training.run import train
from qsv_eval.training.stages import STAGES, Backbone, Preset
from qsv_eval.training.tiny.recipes import Amounts, chain
from qsv_eval.training.tiny.texts import choice

__all__ = ["Trial", "forecast_stage", "train_stage", "train_tiny", "try_out"]

_TRIED_CLIPS = 30


class Trial(NamedTuple):
    """Questions on clips that neither training nor the benchmark has."""

    right: Mapping[str, Sequence[bool]]
    """By kind, for each question."""
    found_cuts: int
    true_cuts: int

    def metrics(self) -> dict[str, float]:
        """Return accuracies and the recall of cuts."""
        every = [one for ones in self.right.values() for one in ones]
        kinds = {f"{kind}_accuracy": sum(ones) / len(ones) for kind, ones in self.right.items()}
        recall = {"cut_recall": self.found_cuts / self.true_cuts} if self.true_cuts else {}
        return {"accuracy": sum(every) / len(every), **recall, **kinds}


def try_out(model: Quicksviewer, clips: int = _TRIED_CLIPS, *, blind: bool = False) -> Trial:
    """Ask a model about clips of the `val` split, drawn here: one question of each kind a clip.

    Args:
        model: the model.
        clips: how many.
        blind: show nothing, to see what the words alone give away.
    """
    right: dict[str, list[bool]] = {}
    found = true = 0
    for index in range(clips):
        spec = make_clip("val", index)
        questions = clip_questions(spec)
        replies = _replies(model, spec, questions, blind=blind)
        for question, reply in zip(questions, replies, strict=True):
            right.setdefault(question.kind, []).append(extract_letter(reply.text).letter == question.answer)
        if not blind:
            found += len({cube.start_frame for cube in replies[0].cubes[0]} & set(spec.cuts))
            true += len(spec.cuts)
    return Trial(right, found, true)


def _replies(model: Quicksviewer, spec: ClipSpec, questions: Sequence[Question], *, blind: bool) -> list[Reply]:
    """Look at a clip once, and answer all questions on it."""
    video = Video(sampled_frames(spec), sampled_instants_s(spec), float(spec.duration_s))
    shown: list[dict[str, Any]] = [] if blind else [{"type": "video", "video": video}]
    asked = [
        [{"role": "user", "content": [*shown, {"type": "text", "text": choice(question.text, question.options)}]}]
        for question in questions
    ]
    if blind:
        return model.chat_batch(asked, max_new_tokens=4)
    visual = model.see(asked[0]).visual
    without = [model.processor.without_pixels(one) for one in asked]
    prompts = [model.prompt(one, visual) for one in without]
    ids = generate(model.model, prompts, model.generation(4))
    return [model.reply(*parts) for parts in zip(without, prompts, ids, strict=True)]


def train_tiny(output: Path, changes: Sequence[str]) -> Path:
    """Take quicksviewer-tiny through its whole course, and return its folder; what was done is not done again.

    Args:
        output: folder of the course.
        changes: `key=value` of `Amounts`, and of every recipe.
    """
    amounts, others = _amounts(changes)
    final = output
    for recipe in chain(output, amounts):
        final = train(vary(recipe, others), output / recipe.name, lambda model, _: try_out(model).metrics(), cpu=True)
    return final


def _amounts(changes: Sequence[str]) -> tuple[Amounts, list[str]]:
    """Take what is of the course from what is of its recipes."""
    own, others = dict[str, int](), list[str]()
    for change in changes:
        key, _, value = change.partition("=")
        if key not in Amounts._fields:
            others.append(change)
        elif value.isdigit():
            own[key] = int(value)
        else:
            raise SetupError(f"{change!r}: {key} is a whole number")
    return Amounts(**own), others


def train_stage(
    stage: str, preset: str, backbone: str, changes: Sequence[str], output: Path, *, cpu: bool, report_to: str
) -> Path:
    """Train one of the three stages, and return the folder of its last checkpoint."""
    return train(_recipe(stage, preset, backbone, changes), output, cpu=cpu, report_to=report_to)


def forecast_stage(stage: str, preset: str, backbone: str, changes: Sequence[str]) -> None:
    """Print what a stage would do."""
    from qsv_eval.training.dry_run import forecast, print_forecast

    print_forecast(forecast(_recipe(stage, preset, backbone, changes)))


def _recipe(stage: str, preset: str, backbone: str, changes: Sequence[str]) -> Recipe:
    if stage not in STAGES:
        raise SetupError(f"there is no recipe {stage!r}; known are {', '.join(STAGES)} and tiny")
    for value, known in ((preset, get_args(Preset)), (backbone, get_args(Backbone))):
        if value not in known:
            raise SetupError(f"{value!r} is unknown; use {' or '.join(known)}")
    return vary(STAGES[stage](cast(Backbone, backbone), cast(Preset, preset)), changes)
