"""The finished quicksviewer-tiny: its weights in float16, and a card that says how it was made and what it can do."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate import PartialState
from jinja2 import Environment, PackageLoader, StrictUndefined
from scipy.stats import binomtest
from tqdm import tqdm

from qsv_eval.demo.grammar import vocabulary
from qsv_eval.demo.scene import DURATIONS, make_clip
from qsv_eval.model_adapters.quicksviewer import Quicksviewer, load_pretrained
from qsv_eval.model_adapters.quicksviewer.checkpoint import load_checkpoint
from qsv_eval.tiny.evaluate import TrialAnswer, accuracy, evaluate_clips
from qsv_eval.tiny.figures import draw_course, draw_cubes

__all__ = ["publish_checkpoint"]


class _Stage(NamedTuple):
    name: str
    steps: int
    minutes: float
    loss: float


class _Group(NamedTuple):
    name: str
    share: float
    low: float
    high: float
    n: int


def publish_checkpoint(course: Sequence[Path], output: Path, clips: int) -> Path:
    """Write the checkpoint that a course of recipes ended with to a folder, in float16, with card and pictures.

    Args:
        course: folders of the recipes' runs, in order.
        output: folder to write; it takes about 2 bytes for each parameter.
        clips: of the split `val` to try the model out on, sighted and blind.
    """
    loaded = load_checkpoint(course[-1] / "final", dtype="float16")
    loaded.model.save_pretrained(output)
    loaded.processor.save_pretrained(output)
    model = load_pretrained(output, device="cpu", dtype="float32")
    draw_course(course, output / "losses.png")
    draw_cubes(model, [make_clip("demo", index) for index in range(3)], output / "cubes.png")
    (output / "README.md").write_text(_card(model, course, clips))
    return output


def _card(model: Quicksviewer, course: Sequence[Path], clips: int) -> str:
    shown = evaluate_clips(model, clips, progress=lambda indices: tqdm(indices, desc="trying out", unit="clip"))
    blind = evaluate_clips(model, clips, blind=True)
    config = model.model.config
    environment = Environment(loader=PackageLoader("qsv_eval.tiny", "."), undefined=StrictUndefined, autoescape=False)  # noqa: S701 - Markdown
    return environment.get_template("modelcard.md.jinja").render(
        parameters=sum(parameter.numel() for parameter in model.model.parameters()),
        words=sum(word.isalpha() for word in vocabulary()),
        config=config,
        vision=config.vision_config,
        text=config.text_config,
        course=[_stage(run) for run in course],
        threads=torch.get_num_threads() * PartialState(cpu=True).num_processes,
        seed=json.loads((course[-1] / "recipe.json").read_text())["batching"]["seed"],
        shown=shown,
        clips=clips,
        groups=_groups(shown.answers, blind.answers),
    )


def _stage(run: Path) -> _Stage:
    """Take a run's figures from its metrics.

    Where it was resumed they lack what was done between its last line and the checkpoint it went on from.
    """
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    taken_s = sum(line["seconds"] for line in lines if "seconds" in line)
    return _Stage(run.name, lines[-1]["step"], taken_s / 60, losses[-1] if losses else math.nan)


def _groups(shown: Sequence[TrialAnswer], blind: Sequence[TrialAnswer]) -> list[_Group]:
    kinds = list(dict.fromkeys(one.kind for one in shown))
    return [
        _group("all", shown),
        *(_group(f"kind: {kind}", [one for one in shown if one.kind == kind]) for kind in kinds),
        *(_group(f"duration: {length}", [one for one in shown if one.duration == length]) for length in DURATIONS),
        _group("on scenes of one or two frames", [one for one in shown if one.brief]),
        _group("blind: the same questions, nothing shown", blind),
    ]


def _group(name: str, answers: Sequence[TrialAnswer]) -> _Group:
    right = sum(one.right for one in answers)
    if not answers:
        return _Group(name, float("nan"), float("nan"), float("nan"), 0)
    low, high = binomtest(right, len(answers)).proportion_ci(method="wilson")
    return _Group(name, accuracy(answers), low, high, len(answers))
