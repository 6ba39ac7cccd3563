"""Run the test mixins of transformers on Quicksviewer: `tox -e hf`, which fetches them."""

import os
from pathlib import Path

import pytest
from hf_report import NOT_APPLICABLE_MARK, report_lines
from not_applicable import reason_for

FOLDER = os.environ.get("QSV_TRANSFORMERS_TESTS")
MARKERS = (
    *("accelerate_tests", "flash_attn_test", "flash_attn_3_test", "flash_attn_4_test", "generate"),
    *("is_training_test", "torch_compile_test", "torch_export_test"),
)
"""Markers of transformers' tests."""

if FOLDER:
    from library import prepare_imports

    prepare_imports(Path(FOLDER))
else:
    collect_ignore_glob = ["test_*.py"]


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", f"{marker}: of transformers")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("hf") and isinstance(item, pytest.Function) and item.cls:
            reason = reason_for(f"{item.cls.__name__}::{item.name}")
            if reason:
                item.add_marker(pytest.mark.skip(reason=f"{NOT_APPLICABLE_MARK}{reason}"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = report_lines(terminalreporter.stats)
    if lines:
        terminalreporter.section("tests of transformers")
        for line in lines:
            terminalreporter.write_line(line)
