"""Docstrings that stand by themselves: none opens like a riddle (CONTRIBUTING.md, "Words")."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RIDDLES = {"what", "which", "how", "where", "who", "whose", "of", "likewise", "likewise.", "same", "from", "into"}
"""First words that leave a docstring without a subject; "Of a sample." says nothing by itself."""
SOURCES = sorted(
    path
    for top in ("qsv_eval", "model_adapters", "tasks", "training", "benchmarks")
    for path in (ROOT / top).rglob("*.py")
)


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of docstrings, those under fields included."""
    for node in ast.walk(tree):
        for statement in getattr(node, "body", []) if not isinstance(node, ast.Lambda | ast.IfExp) else []:
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.lineno, value.value.strip()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_docstring_opens_like_a_riddle(path):
    found = [
        f"{path}:{line}: {text.splitlines()[0]}"
        for line, text in docstrings(ast.parse(path.read_text()))
        if text.split(maxsplit=1)[0].lower() in RIDDLES
    ]
    assert found == []
