"""Into how many cubes a video is cut, and by what."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from qsv_eval.model_adapters.errors import SetupError

__all__ = ["CubeRule", "Cubing"]

Cubing = Literal["learned", "equal", "difference"]


@dataclass(frozen=True)
class CubeRule:
    """How videos are cut. Hashable and plain, so `dataclasses.asdict` puts it into a protocol record."""

    cubing: Cubing = "learned"
    """`learned` asks the gate; `equal` makes all cubes of a video equally long (the paper's baseline) and `difference`
    cuts where the mean features of neighbouring frames differ most."""
    frames_per_cube: float = 5
    """On average."""
    max_cubes: int | None = None
    """Cubes of a video at the most, however long it is: a budget of visual tokens. None: no limit, as the reference."""

    def __post_init__(self) -> None:
        if self.cubing not in get_args(Cubing):
            raise SetupError(f"cubing {self.cubing!r} is unknown: use one of {', '.join(get_args(Cubing))}")
        if not self.frames_per_cube > 0:
            raise SetupError(f"frames_per_cube {self.frames_per_cube!r} is not a length: use a number above 0")
        if self.max_cubes is not None and not (isinstance(self.max_cubes, int) and self.max_cubes >= 1):
            raise SetupError(f"max_cubes {self.max_cubes!r} is not a count: use a whole number from 1, or None")

    def but(self, said: Mapping[str, Any]) -> "CubeRule":
        """Return the rule with what is said of it under its fields' names; other names and None say nothing."""
        names = [field.name for field in fields(self)]
        return replace(self, **{name: said[name] for name in names if said.get(name) is not None})

    def cuts(self, frames: int) -> int:
        """Return the cuts of a video of `frames` n: max(round(n / frames_per_cube) - 1, 1), at most its n - 1 gaps."""
        wanted = max(round(frames / self.frames_per_cube) - 1, 1)
        return min(wanted, frames - 1) if self.max_cubes is None else min(wanted, frames - 1, self.max_cubes - 1)

    def cubes(self, frames: int) -> int:
        """Return the cubes of a video of so many frames."""
        return 1 + self.cuts(frames)
