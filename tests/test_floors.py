"""The floors of docs/design.md: each imports only those below it, and nothing heavy comes with a light package."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A module's floor is that of the longest prefix here; a higher floor may import a lower one, or its own by permission.
FLOORS = {
    "qsv_eval.model_adapters.variant_name": 0,
    "qsv_eval.model_adapters.cubing": 1,
    "qsv_eval.model_adapters.errors": 0,
    "qsv_eval.model_adapters.files": 0,
    "qsv_eval.model_adapters.plurals": 0,
    "qsv_eval.model_adapters.stage_timer": 0,
    "qsv_eval.model_adapters.frames": 1,
    "qsv_eval.model_adapters.quicksviewer": 1,
    "qsv_eval.model_adapters.engine": 2,
    "qsv_eval.model_adapters.model_args": 2,
    "qsv_eval.model_adapters.lmms_requests": 2,
    "qsv_eval.model_adapters.lmms": 2,
    "qsv_eval.model_adapters": 2,
    "qsv_eval.demo": 2,
    "qsv_eval.data": 2,
    "qsv_eval.judge": 2,
    "qsv_eval.run_dirs": 2,
    "qsv_eval.protocol": 3,
    "qsv_eval.scoring": 3,
    "qsv_eval.status": 3,
    "qsv_eval.training": 3,
    "qsv_eval.tasks": 4,
    "qsv_eval.launching": 4,
    "qsv_eval.train": 4,
    "qsv_eval.tiny": 4,
    "qsv_eval.ask": 4,
    "qsv_eval.task_names": 5,
    "qsv_eval.doctor": 5,
    "qsv_eval.score": 5,
    "qsv_eval.leaderboard": 6,
    "qsv_eval.run": 6,
    "qsv_eval.protocol_diff": 6,
    "qsv_eval.sweep": 7,
    "qsv_eval.terminal_report": 7,
    "qsv_eval.cli_options": 7,
    "qsv_eval.cli_scoring": 8,
    "qsv_eval.cli_sweep": 8,
    "qsv_eval.cli_leaderboard": 8,
    "qsv_eval.cli": 9,
}
SIDEWAYS = {
    ("quicksviewer", "frames"),
    ("quicksviewer", "cubing"),
    ("lmms", "engine"),
    ("lmms", "model_args"),
    ("lmms", "lmms_requests"),
    ("model_args", "engine"),
    ("lmms_requests", "engine"),
    ("cli_leaderboard", "cli_scoring"),
}


def modules() -> dict[str, Path]:
    found = {}
    tops = ("qsv_eval", "model_adapters", "tasks", "training")
    for path in [path for top in tops for path in ROOT.glob(f"{top}/**/*.py")]:
        parts = path.relative_to(ROOT).with_suffix("").parts
        parts = parts if parts[0] == "qsv_eval" else ("qsv_eval", *parts)
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def floor_of(module: str) -> tuple[str, int]:
    name = max((prefix for prefix in FLOORS if f"{module}.".startswith(f"{prefix}.")), key=len, default="")
    return name, FLOORS.get(name, -1)


def imports_of(path: Path) -> set[str]:
    known = set(modules())
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} & known or {node.module}
    return {name for name in found if name.startswith("qsv_eval.")}


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_module_imports_only_floors_below(module):
    name, floor = floor_of(module)
    if module == "qsv_eval":
        return
    assert name, f"{module} is on no floor: add it to FLOORS and to docs/design.md"
    for imported in imports_of(modules()[module]):
        other, other_floor = floor_of(imported)
        sideways = (name.rsplit(".", 1)[-1], other.rsplit(".", 1)[-1]) in SIDEWAYS
        assert other == name or other_floor < floor or sideways, f"{module} imports {imported}"


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("qsv_eval", {"torch", "transformers", "lmms_eval", "numpy"}),
        ("qsv_eval.demo", {"torch", "transformers", "lmms_eval"}),
        ("qsv_eval.status.table", {"torch", "transformers", "lmms_eval", "numpy"}),
        ("qsv_eval.score", {"torch", "transformers", "lmms_eval", "openai", "datasets"}),
        ("qsv_eval.leaderboard.write", {"torch", "transformers", "lmms_eval", "openai", "datasets"}),
        ("qsv_eval.leaderboard.publish", {"torch", "transformers", "lmms_eval", "openai", "datasets"}),
        ("qsv_eval.leaderboard.write", {"matplotlib", "jinja2"}),
        ("qsv_eval.cli", {"matplotlib", "jinja2"}),
        ("qsv_eval.leaderboard.compare.report", {"torch", "transformers", "lmms_eval", "openai", "datasets"}),
        ("qsv_eval.doctor.diagnosis", {"torch", "transformers", "lmms_eval", "openai", "datasets"}),
        ("qsv_eval.cli", {"torch", "transformers", "lmms_eval", "numpy", "openai", "pandas"}),
        ("qsv_eval.launching.signals", {"torch", "transformers", "lmms_eval", "numpy"}),
        ("qsv_eval.model_adapters", {"torch", "transformers", "lmms_eval"}),
        ("qsv_eval.model_adapters.frames", {"torch", "transformers", "lmms_eval", "decord"}),
        ("qsv_eval.model_adapters.quicksviewer", {"lmms_eval", "flash_attn"}),
    ],
)
def test_light_imports(module, unwanted):
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not unwanted & set(done.stdout.split())
