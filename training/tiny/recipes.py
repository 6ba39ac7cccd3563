"""The course of quicksviewer-tiny: language, then single frames and brief clips, then the three stages on clips."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from qsv_eval.training.recipe import Batching, Noise, Optimiser, Rates, Recipe, Start
from qsv_eval.training.tiny.clips import pack_brief, pack_clips, pack_letters, pack_pictures, pack_texts
from qsv_eval.training.tiny.start import SIDE, make_start

__all__ = ["Amounts", "chain"]


class Amounts(NamedTuple):
    """How much of everything; the defaults take about an hour on two cores."""

    letters: int = 11_000
    texts: int = 50_000
    pictures: int = 6_000
    brief: int = 12_000
    clips: int = 5_000
    questions: int = 6
    letters_steps: int = 400
    language_steps: int = 2_000
    picture_steps: int = 400
    stage1_steps: int = 60
    stage2_steps: int = 100
    stage3_steps: int = 1_000
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


def chain(folder: Path, amounts: Amounts) -> Iterator[Recipe]:
    """Yield the recipes in order, each with its data drawn and starting where the one before ended."""
    data = folder / "data"
    start = make_start(folder / "start")
    pack_letters(data / "letters", amounts.letters)
    mixture = _mixture(data, "letters", {"letters": 1.0})
    recipe = tiny("tiny_letters", Rates(language_model=1.5e-3), amounts.letters_steps, 512, mixture)
    yield replace(recipe, start=Start(str(start)))

    pack_texts(data / "texts", amounts.texts)
    mixture = _mixture(data, "language", {"texts": 1.0})
    recipe = tiny("tiny_language", Rates(language_model=1.5e-3), amounts.language_steps, 1024, mixture)
    yield replace(recipe, start=_after(folder, "tiny_letters"))

    everything = Rates(cubing=1.5e-3, resampler=1.5e-3, vision_tower=1.5e-3, language_model=1.5e-3)
    pack_pictures(data / "pictures", amounts.pictures, SIDE)
    pack_brief(data / "brief", amounts.brief, SIDE)
    shares = {"pictures": 1.0, "brief": 1.0, "texts": amounts.brief / 5 / amounts.texts}
    mixture = _mixture(data, "pictures", shares)
    recipe = tiny("tiny_pictures", everything, amounts.picture_steps, 2048, mixture)
    yield replace(recipe, start=_after(folder, "tiny_language"))

    pack_clips(data / "clips", amounts.clips, SIDE, amounts.questions)
    few = {"texts": amounts.texts, "brief": amounts.brief}
    mixture = _mixture(data, "clips", {"clips": 1.0} | {name: amounts.clips / 3 / n for name, n in few.items()})
    stages = {
        "tiny_stage1": (replace(everything, vision_tower=None, language_model=None), amounts.stage1_steps),
        "tiny_stage2": (replace(everything, language_model=None), amounts.stage2_steps),
        "tiny_stage3": (everything, amounts.stage3_steps),
    }
    before = "tiny_pictures"
    for name, (rates, steps) in stages.items():
        recipe = replace(tiny(name, rates, steps, 2048, mixture), start=_after(folder, before), thumbnails_only=0.25)
        if name == "tiny_stage3":
            recipe = replace(recipe, evaluate_every=500)
        yield recipe
        before = name


def _after(folder: Path, name: str) -> Start:
    return Start(str(folder / name / "final"))


def _mixture(data: Path, name: str, weights: dict[str, float]) -> str:
    path = data / f"{name}.yaml"
    lines = [f"  - path: {folder}/*.tar\n    weight: {weight}\n" for folder, weight in weights.items()]
    path.write_text("sources:\n" + "".join(lines))
    return str(path)
