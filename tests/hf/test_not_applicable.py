"""The list of what does not apply, held to the tests that there are."""

import unittest
from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest
import test_image_processing_quicksviewer
import test_modeling_quicksviewer
import test_processing_quicksviewer
import test_video_processing_quicksviewer
from not_applicable import NOT_APPLICABLE

pytestmark = pytest.mark.hf

_MODULES = (
    test_image_processing_quicksviewer,
    test_modeling_quicksviewer,
    test_processing_quicksviewer,
    test_video_processing_quicksviewer,
)


def _names() -> Iterator[str]:
    for module in _MODULES:
        for class_ in vars(module).values():
            if isinstance(class_, type) and issubclass(class_, unittest.TestCase):
                yield from (
                    f"{class_.__name__}::{name}" for name in unittest.defaultTestLoader.getTestCaseNames(class_)
                )


@pytest.mark.parametrize("pattern", NOT_APPLICABLE)
def test_every_name_is_that_of_a_test(pattern: str) -> None:
    assert any(fnmatchcase(name, pattern) for name in _names())


def test_reasons_fit_a_line() -> None:
    assert all(reason and "\n" not in reason and len(reason) < 160 for reason in NOT_APPLICABLE.values())
