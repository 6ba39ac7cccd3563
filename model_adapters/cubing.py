"""The cube rule: the number of cubes that a video is cut into, and the method that places the cuts."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from qsv_eval.model_adapters.errors import SetupError

__all__ = ["CubeRule", "Cubing"]

Cubing = Literal["learned", "equal", "difference"]


@dataclass(frozen=True)
class CubeRule:
    """Method and number of cuts of a video. `dataclasses.asdict` puts it into a protocol."""

    cubing: Cubing = "learned"
    """`learned`: cuts by the model's gate; `equal`: cubes of equal length (the paper's baseline); `difference`: cuts
    where the mean features of neighbouring frames differ most."""
    frames_per_cube: float = 5
    """Average number of frames in a cube."""
    max_cubes: int | None = None
    """Limit on the cubes of a video, and so on its visual tokens. None: no limit, as in the reference."""

    def __post_init__(self) -> None:
        if self.cubing not in get_args(Cubing):
            raise SetupError(f"cubing {self.cubing!r} is unknown: use one of {', '.join(get_args(Cubing))}")
        if not self.frames_per_cube > 0:
            raise SetupError(f"frames_per_cube is {self.frames_per_cube!r}: use a number above 0")
        if self.max_cubes is not None and not (isinstance(self.max_cubes, int) and self.max_cubes >= 1):
            raise SetupError(f"max_cubes is {self.max_cubes!r}: use a whole number from 1, or None for no limit")

    def with_overrides(self, settings: Mapping[str, Any]) -> "CubeRule":
        """Return the rule with the values of `settings` under the fields' names; None and other names are ignored."""
        names = [field.name for field in fields(self)]
        return replace(self, **{name: settings[name] for name in names if settings.get(name) is not None})

    def cuts(self, frames: int) -> int:
        """Return the cuts of a video of n `frames`: max(round(n / frames_per_cube) - 1, 1), at most its n - 1 gaps."""
        wanted = max(round(frames / self.frames_per_cube) - 1, 1)
        return min(wanted, frames - 1) if self.max_cubes is None else min(wanted, frames - 1, self.max_cubes - 1)

    def cubes(self, frames: int) -> int:
        """Return the number of cubes of a video of `frames` frames."""
        return 1 + self.cuts(frames)
