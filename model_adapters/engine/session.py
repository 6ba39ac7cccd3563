"""What this process answers with, for those who report on it."""

from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from typing import Any

from qsv_eval.model_adapters.engine.answer_key import AnswerSettings
from qsv_eval.model_adapters.engine.question import Generation

__all__ = ["answer_settings", "begin", "environment", "environment_line", "generation_of", "note_generation"]

# One process answers with one model at a time.
_settings: AnswerSettings | None = None
_environment: dict[str, str] = {}
_generations: dict[str, Generation] = {}


def begin(settings: AnswerSettings, environment: Mapping[str, str]) -> None:
    """Say with what, and on what, the answers of this process are obtained from now on."""
    global _settings
    _settings = settings
    _environment.clear()
    _environment.update(environment)
    _generations.clear()


def note_generation(task: str, generation: Generation) -> None:
    """Remember the generation settings that a task's requests really came with."""
    _generations[task] = generation


def answer_settings() -> AnswerSettings | None:
    """Return the settings, or None where no Quicksviewer is answering: another model, or a second scoring."""
    return _settings


def environment() -> dict[str, str]:
    """Return what the model runs on: device, attention."""
    return dict(_environment)


def environment_line() -> str:
    """Return the same and the versions that move numbers, as one line for the journal."""
    libraries = {name: metadata.version(name) for name in ("torch", "transformers")} if _environment else {}
    return ", ".join(f"{name} {value}" for name, value in (libraries | _environment).items())


def generation_of(task: str) -> dict[str, Any]:
    """Return the generation settings of a task that was asked in this process, else nothing."""
    generation = _generations.get(task)
    return asdict(generation) if generation else {}
