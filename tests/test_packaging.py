"""What is installed is what is in the tree, and nothing else."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAPPED = ("tasks", "model_adapters", "training", "results")


def packages_in_the_tree() -> set[str]:
    folders = {path.parent.relative_to(ROOT) for path in ROOT.glob("qsv_eval/**/__init__.py")}
    for top in MAPPED:
        folders |= {Path("qsv_eval") / path.parent.relative_to(ROOT) for path in ROOT.glob(f"{top}/**/__init__.py")}
    return {".".join(folder.parts) for folder in folders}


def test_the_package_list_is_the_tree():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert set(setuptools["packages"]) == packages_in_the_tree()


def test_an_uninstalled_checkout_works_from_anywhere(tmp_path):
    code = "import qsv_eval.tasks, qsv_eval.model_adapters.errors as e; print(e.__file__)"
    command = [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == ROOT / "model_adapters" / "errors.py"


def test_lmms_eval_finds_the_model():
    from lmms_eval.models import get_model

    from qsv_eval.model_adapters.lmms import QuicksviewerChat, QuicksviewerSimple

    assert get_model("quicksviewer") is QuicksviewerChat
    assert get_model("quicksviewer", force_simple=True) is QuicksviewerSimple


def test_no_path_of_a_machine_is_in_the_tree():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    texts = [ROOT / name for name in tracked if Path(name).suffix in {".py", ".md", ".toml", ".yaml", ".ini", ".txt"}]
    for path in texts:
        if path.is_file() and path.parent.name != "tests":
            assert not any(word in path.read_text() for word in ("/work" + "/", "/root" + "/", "/home/")), path
