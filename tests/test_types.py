"""Types are checked over the package as it is installed: the top-level folders inside `qsv_eval`."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_types(tmp_path):
    """mypy cannot follow an editable install's mapping, so the package is laid out for it by links."""
    package = tmp_path / "qsv_eval"
    package.mkdir()
    sources = [*(ROOT / "qsv_eval").iterdir(), *(ROOT / name for name in ("tasks", "model_adapters", "training"))]
    for source in sources:
        (package / source.name).symlink_to(source)
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "-p", "qsv_eval"]
    checked = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"MYPYPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
