"""What this process answers with, for those who report on it."""

from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from typing import Any

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.engine.cache_key import AnswerSettings
from qsv_eval.model_adapters.engine.request import GenerationSettings
from qsv_eval.model_adapters.frames import FrameRule

__all__ = ["answers_of", "begin_run", "environment", "environment_line", "generation_of", "note_request"]

# One process answers with one model at a time.
_settings: AnswerSettings | None = None
_environment: dict[str, str] = {}
_asked_with: dict[str, tuple[GenerationSettings, FrameRule, CubeRule]] = {}


def begin_run(settings: AnswerSettings, environment: Mapping[str, str]) -> None:
    """Say with what, and on what, the answers of this process are obtained from now on."""
    global _settings
    _settings = settings
    _environment.clear()
    _environment.update(environment)
    _asked_with.clear()


def note_request(task: str, generation: GenerationSettings, rule: FrameRule, cube_rule: CubeRule) -> None:
    """Remember the settings that a task's requests really came with."""
    _asked_with[task] = generation, rule, cube_rule


def answers_of(task: str) -> dict[str, Any] | None:
    """Return what moves a task's replies, or None where no Quicksviewer is answering: another model, or a rescoring."""
    if _settings is None:
        return None
    _, rule, cube_rule = _asked_with.get(task, (None, _settings.frame_rule, _settings.cube_rule))
    return _settings.as_dict() | {"frame_rule": asdict(rule), "cube_rule": asdict(cube_rule)}


def environment() -> dict[str, str]:
    """Return what the model runs on: device, attention."""
    return dict(_environment)


def environment_line() -> str:
    """Return the same and the versions that move numbers, as one line for the journal."""
    libraries = {name: metadata.version(name) for name in ("torch", "transformers")} if _environment else {}
    return ", ".join(f"{name} {value}" for name, value in (libraries | _environment).items())


def generation_of(task: str) -> dict[str, Any]:
    """Return the generation settings of a task that was asked in this process, else nothing."""
    return asdict(_asked_with[task][0]) if task in _asked_with else {}
