"""The built wheel, run from another folder, with the dependencies of this environment."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


def run(*command: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build from a copy: leftovers of an earlier build in the checkout must not slip in."""
    folder = tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in tracked.splitlines():
        if not name.startswith("tests/"):
            target = folder / "source" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", str(folder), str(folder / "source"), cwd=folder)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> dict[str, str]:
    """Environment variables with which the wheel comes before the editable install."""
    site = tmp_path_factory.mktemp("site")
    command = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel))
    run(*command, cwd=site)
    return {"PYTHONPATH": str(site), "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}


def test_only_qsv_eval_is_at_the_top(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"qsv_eval"}
    assert {
        "qsv_eval/py.typed",
        "qsv_eval/tasks/_base_yaml",
        "qsv_eval/tasks/videomme/qsv_videomme.yaml",
        "qsv_eval/tiny/modelcard.md.jinja",
        "qsv_eval/demo/quicksviewer-tiny/model.safetensors",
    } <= set(names)


def test_the_demo_from_another_folder(installed, tmp_path):
    code = "import qsv_eval.tasks as t, qsv_eval.model_adapters as m; print(t.__file__, m.__file__)"
    places = run(sys.executable, "-c", code, cwd=tmp_path, **installed).split()
    assert all(place.startswith(installed["PYTHONPATH"]) for place in places)
    shown = run(
        *(sys.executable, "-m", "qsv_eval.cli", "demo", "--limit", "3", "--device", "cpu", "--output", "out"),
        cwd=tmp_path,
        **installed,
    )
    assert "3 questions asked" in shown


def test_from_the_root_of_the_repository(installed):
    """There the local qsv_eval shadows the installed one; the bridge in its __init__ keeps it whole."""
    code = "import qsv_eval.tasks, qsv_eval.model_adapters.frames, qsv_eval.scoring; print('whole')"
    assert "whole" in run(sys.executable, "-c", code, cwd=ROOT, **installed)


def test_lmms_eval_finds_the_wheels_model(installed, tmp_path):
    code = "from lmms_eval.models import get_model; print(get_model('quicksviewer').__module__)"
    assert "qsv_eval.model_adapters.lmms" in run(sys.executable, "-c", code, cwd=tmp_path, **installed)
