"""Pip constraints that pin every dependency to its lower bound in pyproject.toml.

python tests/helpers/oldest_constraints.py oldest.txt train
"""

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def oldest(project: dict, extras: tuple[str, ...] = ()) -> list[str]:
    """Return `name==floor` for the dependencies of a `[project]` table and its extras."""
    lines = [*project["dependencies"]]
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return [pinned(Requirement(line)) for line in lines]


def pinned(requirement: Requirement) -> str:
    """Turn `name>=floor,<cap; marker` into `name==floor; marker`.

    Raises:
        ValueError: the requirement does not have exactly one lower bound.
    """
    floors = [clause.version for clause in requirement.specifier if clause.operator == ">="]
    if len(floors) != 1:
        raise ValueError(f"pyproject.toml: {requirement} must have one lower bound, as in {requirement.name}>=1.2")
    marker = f"; {requirement.marker}" if requirement.marker else ""
    return f"{requirement.name}=={floors[0]}{marker}"


def main(target: str, *extras: str) -> None:
    """Write the constraints of the project and its extras to a file."""
    project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
    Path(target).write_text("\n".join(oldest(project, extras)) + "\n", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
