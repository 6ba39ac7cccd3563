"""Pip constraints that hold every dependency at its floor in pyproject.toml.

python tests/helpers/oldest_constraints.py oldest.txt train
"""

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def oldest(project: dict, extras: tuple[str, ...] = ()) -> list[str]:
    """Return `name==floor` for the dependencies of a `[project]` table and of the named extras."""
    lines = [*project["dependencies"]]
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return [at_the_floor(Requirement(line)) for line in lines]


def at_the_floor(requirement: Requirement) -> str:
    """Turn `name>=floor,<cap; marker` into `name==floor; marker`.

    Raises:
        ValueError: it has no floor, so nothing says what the oldest version is.
    """
    floors = [clause.version for clause in requirement.specifier if clause.operator == ">="]
    if len(floors) != 1:
        raise ValueError(f"pyproject.toml: {requirement} must have one floor, as in {requirement.name}>=1.2")
    marker = f"; {requirement.marker}" if requirement.marker else ""
    return f"{requirement.name}=={floors[0]}{marker}"


def main(target: str, *extras: str) -> None:
    """Write the constraints to a file."""
    project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
    Path(target).write_text("\n".join(oldest(project, extras)) + "\n", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
