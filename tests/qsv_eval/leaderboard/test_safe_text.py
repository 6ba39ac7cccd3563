"""Names in tables: unchanged if possible, and always unique."""

import os

import pytest

from qsv_eval.leaderboard.safe_text import LONGEST_NAME, plain, table_name

ODD = ["two\u00a0words", "fam\u200dily", os.fsdecode(b"byte \xff"), "a\x1b[31m", "half \ud800", "x" * 301, "\x1b" * 300]


@pytest.mark.parametrize("name", ["out/model/1_results.json", "qsv_demo@max_frames=64", "視頻", "x" * 300])
def test_a_name_that_can_be_shown_is_shown(name):
    assert table_name(name) == name


@pytest.mark.parametrize("name", ODD)
def test_any_other_is_shown_with_a_digest(name):
    shown = table_name(name)
    assert plain(shown, LONGEST_NAME) == shown
    assert shown.endswith("]")
    assert plain(name)[:5] == shown[:5]


def test_names_that_read_alike_stay_apart():
    alike = ["a b", "a\u00a0b", "a\u2003b", "\\x1b", "\x1b", "\ud800", "?", "\\ud800", "x" * 400 + "1", "x" * 400 + "2"]
    assert len({table_name(name) for name in alike}) == len(alike)
