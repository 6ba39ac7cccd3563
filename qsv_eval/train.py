"""The three stages from the command line."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast, get_args

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.training.recipe import Recipe, vary
from qsv_eval.training.run import Evaluate, train
from qsv_eval.training.stages import STAGES, Backbone, Preset

__all__ = ["forecast_stage", "train_stage"]


def train_stage(
    stage: str,
    preset: str,
    backbone: str,
    changes: Sequence[str],
    output: Path,
    evaluate: Evaluate,
    *,
    cpu: bool,
    report_to: str,
) -> Path:
    """Train one of the three stages, and return the folder of its last checkpoint."""
    return train(_recipe(stage, preset, backbone, changes), output, evaluate, cpu=cpu, report_to=report_to)


def forecast_stage(stage: str, preset: str, backbone: str, changes: Sequence[str]) -> None:
    """Print what a stage would do."""
    from qsv_eval.training.dry_run import forecast_run, print_forecast

    print_forecast(forecast_run(_recipe(stage, preset, backbone, changes)))


def _recipe(stage: str, preset: str, backbone: str, changes: Sequence[str]) -> Recipe:
    if stage not in STAGES:
        raise SetupError(f"there is no recipe {stage!r}; known are {', '.join(STAGES)} and tiny")
    for value, known in ((preset, get_args(Preset)), (backbone, get_args(Backbone))):
        if value not in known:
            raise SetupError(f"{value!r} is unknown; use {' or '.join(known)}")
    return vary(STAGES[stage](cast(Backbone, backbone), cast(Preset, preset)), changes)
