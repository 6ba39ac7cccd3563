"""Grid of a sweep: every combination of the values on its axes is one variant.

    tasks: [videomme]
    checkpoints: [runs/stage3/final]
    frames: [8, 16, 32, 64, 128, 256, 420]
    fps: [1, 2]

An axis that is left out keeps the model's own setting.
"""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.frames import FrameRule

__all__ = ["AXES", "Grid"]

AXES: Final = {
    "frames": "max_frames",
    "fps": "fps",
    "frame_rule": "frame_rule",
    "cubing": "cubing",
    "frames_per_cube": "frames_per_cube",
    "max_cubes": "max_cubes",
}
"""Axis → name in a task's generation_kwargs."""

_OneOrMore = Annotated[list[str], Field(min_length=1)]


class Grid(BaseModel):
    """The axes of a sweep."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    tasks: _OneOrMore
    """Names as for `qsv-eval run`."""
    checkpoints: _OneOrMore
    """Folders, hub ids or PEFT adapters."""
    frames: list[int] = []
    """Frames of a video at the most."""
    fps: list[float] = []
    """Frames for each second, before they are thinned."""
    frame_rule: list[str] = []
    """reference, blocks or nested."""
    cubing: list[str] = []
    """learned, equal or difference."""
    frames_per_cube: list[float] = []
    """On average."""
    max_cubes: list[int] = []
    """Cubes of a video at the most."""

    @classmethod
    def of(cls, given: Mapping[str, Any], source: str = "sweep") -> "Grid":
        """Check what was given; SetupError names the place and the first thing that is wrong."""
        try:
            grid = cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            known = ", ".join(cls.model_fields)
            hint = f"; known are {known}" if first["type"] == "extra_forbidden" else ""
            raise SetupError(f"{source}: {where}: {first['msg']}{hint}") from error
        for axis in cls.model_fields:
            values = getattr(grid, axis)
            if len(set(values)) < len(values):
                raise SetupError(f"{source}: {axis}: duplicate values: {', '.join(map(str, values))}")
        grid.settings()  # refuses what cannot be
        return grid

    @classmethod
    def read(cls, file: Path, given: Mapping[str, Any]) -> "Grid":
        """Read a YAML file; what is given besides (and is no empty list) takes the place of what it says."""
        try:
            content = yaml.safe_load(file.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise SetupError(f"{file}: cannot be read: {error}") from error
        if not isinstance(content, dict):
            raise SetupError(f"{file}: expected a mapping of axis to a list of values, such as `frames: [8, 64]`")
        return cls.of(content | {name: values for name, values in given.items() if values}, str(file))

    def settings(self) -> list[dict[str, Any]]:
        """Return the settings of each combination, the last axis running fastest.

        Raises:
            SetupError: frames cannot be chosen, or cubes cut, by one of them.
        """
        axes = {setting: getattr(self, axis) for axis, setting in AXES.items() if getattr(self, axis)}
        found = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
        for one in found:
            _ = FrameRule(one.get("fps", 1.0), one.get("max_frames", 420), one.get("frame_rule", "reference"))
            _ = CubeRule().with_overrides(one)
        return found
