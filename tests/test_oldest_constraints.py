"""Lower bounds of pyproject.toml as pip constraints."""

import tomllib
from pathlib import Path

import pytest
from oldest_constraints import main, oldest
from packaging.requirements import Requirement

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
CAPPED = {"transformers", "lmms-eval", "filelock", "av"}


def test_lower_bounds_become_exact_versions(tmp_path):
    project = {
        "dependencies": ["one>=1.2,<2", "two>=3; python_version >= '3.11'"],
        "optional-dependencies": {"more": ["three>=0.1"]},
    }
    assert oldest(project) == ["one==1.2", 'two==3; python_version >= "3.11"']
    assert oldest(project, ("more",))[-1] == "three==0.1"
    with pytest.raises(ValueError, match="four<2 must have one lower bound"):
        oldest({"dependencies": ["four<2"]})
    main(str(tmp_path / "oldest.txt"), "train")
    lines = (tmp_path / "oldest.txt").read_text().splitlines()
    assert len(lines) == len(PROJECT["dependencies"]) + len(PROJECT["optional-dependencies"]["train"])
    assert all("==" in line for line in lines)


def test_libraries_whose_classes_we_extend_have_an_upper_bound():
    requirements = [Requirement(line) for line in PROJECT["dependencies"]]
    capped = {item.name for item in requirements if any(clause.operator == "<" for clause in item.specifier)}
    assert capped >= CAPPED


def test_only_tested_python_versions_are_listed():
    pythons = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if "Python :: 3." in name]
    assert pythons == ["3.11"]
