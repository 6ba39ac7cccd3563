"""Run the test mixins of transformers on Quicksviewer: `tox -e hf`, which fetches them."""

import os
import sys

import pytest

FOLDER = os.environ.get("QSV_TRANSFORMERS_TESTS")
MARKERS = (
    *("accelerate_tests", "flash_attn_test", "flash_attn_3_test", "flash_attn_4_test", "generate"),
    *("torch_compile_test", "torch_export_test"),
)
"""Markers of transformers' tests."""

if FOLDER:
    from library import prepare_imports

    sys.path.insert(0, FOLDER)
    prepare_imports()
else:
    collect_ignore_glob = ["test_*.py"]


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", f"{marker}: of transformers")
