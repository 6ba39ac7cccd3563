"""Settings that this process answers with, for the protocol and the reports."""

from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from typing import Any

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.engine.cache_key import AnswerSettings
from qsv_eval.model_adapters.engine.request import GenerationSettings
from qsv_eval.model_adapters.frames import FrameRule

__all__ = ["answer_settings", "begin_run", "environment", "environment_line", "generation_settings", "note_request"]

# One process answers with one model at a time.
_settings: AnswerSettings | None = None
_environment: dict[str, str] = {}
_task_settings: dict[str, tuple[GenerationSettings, FrameRule, CubeRule]] = {}


def begin_run(settings: AnswerSettings, environment: Mapping[str, str]) -> None:
    """Set the answer settings and the environment (device, attention) of this process."""
    global _settings
    _settings = settings
    _environment.clear()
    _environment.update(environment)
    _task_settings.clear()


def note_request(task: str, generation: GenerationSettings, rule: FrameRule, cube_rule: CubeRule) -> None:
    """Remember the settings of a task's requests."""
    _task_settings[task] = generation, rule, cube_rule


def answer_settings(task: str) -> dict[str, Any] | None:
    """Return the settings that change a task's replies; None if no Quicksviewer answers (other model, rescoring)."""
    if _settings is None:
        return None
    _, rule, cube_rule = _task_settings.get(task, (None, _settings.frame_rule, _settings.cube_rule))
    return _settings.as_dict() | {"frame_rule": asdict(rule), "cube_rule": asdict(cube_rule)}


def environment() -> dict[str, str]:
    """Return the device and the attention implementation of the model."""
    return dict(_environment)


def environment_line() -> str:
    """Return the environment and the versions of torch and transformers as one line for the journal."""
    libraries = {name: metadata.version(name) for name in ("torch", "transformers")} if _environment else {}
    return ", ".join(f"{name} {value}" for name, value in (libraries | _environment).items())


def generation_settings(task: str) -> dict[str, Any]:
    """Return the generation settings of a task's requests; empty if this process has had none."""
    return asdict(_task_settings[task][0]) if task in _task_settings else {}
