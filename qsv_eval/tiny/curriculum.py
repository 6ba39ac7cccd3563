"""The course of quicksviewer-tiny: letters, language, glimpses, motion, brief clips, and the three stages on clips.

The gate learns in stage 1. It is new then: within single scenes there is nothing to cut, and what it learned from them
is to cut anywhere but between scenes. Stage 3 pulls it away from the cuts again, so that at the end it is put back.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from accelerate import PartialState

from qsv_eval.model_adapters.engine.distributed import join
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.tiny.clip_data import pack, samplers
from qsv_eval.tiny.evaluate import evaluate_clips
from qsv_eval.tiny.initial_model import SIDE, make_start, with_gate
from qsv_eval.tiny.model_card import publish_checkpoint
from qsv_eval.training.recipe import Batching, Noise, Optimiser, Rates, Recipe, Start, vary
from qsv_eval.training.run import train

__all__ = ["RATE", "TinyBudget", "TinyStage", "draw_data", "tiny", "tiny_recipes", "tiny_stages", "train_tiny"]


RATE: Final = 1.5e-3
SLOW: Final = 1.5e-5
"""Learning rate of gate and thumbnail once they have learned: a hundredth of the first, as in the paper."""
SETTLING: Final = 3e-4
"""When the gate is put back to where it found cuts, and all else gets used to it."""


class TinyBudget(NamedTuple):
    """Amounts of data and steps; the defaults take an hour and a half on two cores."""

    letters: int = 11_000
    texts: int = 50_000
    glimpses: int = 60_000
    motion: int = 40_000
    brief: int = 12_000
    views: int = 4_000
    clips: int = 8_000
    questions: int = 4
    letters_steps: int = 400
    language_steps: int = 1_600
    glimpse_steps: int = 600
    motion_steps: int = 500
    brief_steps: int = 200
    stage1_steps: int = 100
    stage2_steps: int = 100
    stage3_steps: int = 1_600
    settling_steps: int = 200
    tried_clips: int = 300


def tiny(name: str, rates: Rates, steps: int, tokens: int, mixture: str) -> Recipe:
    """Return what all recipes of the chain share."""
    return Recipe(
        name=name,
        rates=rates,
        mixture=mixture,
        batching=Batching(micro_batches=2, tokens=tokens, frame_cost=0, steps=steps, workers=1),
        optimiser=Optimiser("muon", schedule="cosine", warmup=50, betas=(0.9, 0.98), weight_decay=0.01),
        noise=Noise(ratio=0.6),
        checkpointing=False,
        chunk_frames=256,
        save_every=250,
        keep=1,
        log_every=20,
    )


class TinyStage(NamedTuple):
    """A part of the course, which begins where the one before ended."""

    name: str
    rates: Rates
    steps: int
    samples: str
    """Data that the stage learns from."""
    beside: Mapping[str, float] = {}
    """And what else: one of these for so many of those."""
    tokens: int = 2048
    gate_of: str | None = None
    """Before it begins, the gate becomes what it was after another part, or in the beginning (`start`)."""
    more: Mapping[str, Any] = {}
    """Further settings of the recipe."""


def tiny_stages(amounts: TinyBudget) -> list[TinyStage]:
    """Return the course."""
    words = Rates(language_model=RATE)
    everything = Rates(cubing=RATE, resampler=RATE, vision_tower=RATE, language_model=RATE)
    cutting = Rates(cubing=RATE, resampler=RATE)
    settling = Rates(resampler=SETTLING, vision_tower=SETTLING, language_model=SETTLING)
    of_clips = partial(TinyStage, samples="clips", beside={"texts": 3, "brief": 3})
    return [
        TinyStage("letters", words, amounts.letters_steps, "letters", tokens=512),
        TinyStage("language", words, amounts.language_steps, "texts", tokens=1024),
        TinyStage("glimpses", everything, amounts.glimpse_steps, "glimpses", {"texts": 15}),
        TinyStage("motion", everything, amounts.motion_steps, "motion", {"glimpses": 10 / 3, "texts": 30}),
        TinyStage("brief", everything, amounts.brief_steps, "brief", {"texts": 5}, more={"thumbnails_only": 0.25}),
        TinyStage("stage1", cutting, amounts.stage1_steps, "views", gate_of="start", more={"thumbnails_only": 0.5}),
        of_clips("stage2", replace(everything, cubing=SLOW, language_model=None), amounts.stage2_steps),
        of_clips("stage3", replace(everything, cubing=SLOW), amounts.stage3_steps, more={"evaluate_every": 500}),
        of_clips("settling", settling, amounts.settling_steps, gate_of="stage1", more={"evaluate_every": 500}),
    ]


def tiny_recipes(folder: Path, amounts: TinyBudget) -> Iterator[Recipe]:
    """Yield the recipes in order, each with its data drawn and starting where the one before ended.

    Of several processes one draws, while the others wait.
    """
    join(on_cpu=True)  # with the patience to wait while another draws
    state = PartialState(cpu=True)
    data = folder / "data"
    with state.main_process_first():
        start = make_start(folder / "start")
    ends = {"start": start}
    for leg in tiny_stages(amounts):
        with state.main_process_first():
            mixture = draw_data(data, leg, amounts)
            if leg.gate_of is not None:
                start = with_gate(start, ends[leg.gate_of], folder / f"tiny_{leg.name}_start")
        recipe = tiny(f"tiny_{leg.name}", leg.rates, leg.steps, leg.tokens, mixture)
        yield replace(recipe, start=Start(str(start)), **leg.more)
        start = ends[leg.name] = folder / recipe.name / "final"


def draw_data(data: Path, leg: TinyStage, amounts: TinyBudget) -> str:
    """Draw what a part of the course learns from, unless it is there, and return its mixture."""
    for samples in (leg.samples, *leg.beside):
        pack(data / samples, getattr(amounts, samples), samplers(SIDE, amounts.questions)[samples])
    most = getattr(amounts, leg.samples)
    weights = {leg.samples: 1.0} | {name: most / every / getattr(amounts, name) for name, every in leg.beside.items()}
    path = data / f"{leg.samples}.yaml"
    lines = [f"  - path: {folder}/*.tar\n    weight: {weight}\n" for folder, weight in weights.items()]
    content = "sources:\n" + "".join(lines)
    if not path.is_file() or path.read_text() != content:
        path.write_text(content)
    return str(path)


def train_tiny(output: Path, changes: Sequence[str]) -> Path:
    """Take quicksviewer-tiny through its whole course, and return its folder; what was done is not done again.

    Args:
        output: folder of the course; the checkpoint and its card come to `quicksviewer-tiny` in it.
        changes: `key=value` of `TinyBudget`, and of every recipe.
    """
    amounts, others = _amounts(changes)
    course: list[Path] = []
    for recipe in tiny_recipes(output, amounts):
        course.append(output / recipe.name)
        train(vary(recipe, others), course[-1], lambda model, _: evaluate_clips(model).metrics(), cpu=True)
    finished = output / "quicksviewer-tiny"
    if PartialState(cpu=True).is_main_process and not (finished / "README.md").is_file():
        publish_checkpoint(course, finished, amounts.tried_clips)
    return finished


def _amounts(changes: Sequence[str]) -> tuple[TinyBudget, list[str]]:
    """Take what is of the course from what is of its recipes."""
    own, others = dict[str, int](), list[str]()
    for change in changes:
        key, _, value = change.partition("=")
        if key not in TinyBudget._fields:
            others.append(change)
        elif value.isdigit():
            own[key] = int(value)
        else:
            raise SetupError(f"{change!r}: {key} is a whole number")
    return TinyBudget(**own), others
