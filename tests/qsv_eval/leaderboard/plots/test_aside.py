"""Another process draws the same plots, and its end is told."""

import os
import signal

import pytest
from seen_runs import write_seen_run

from qsv_eval.leaderboard.plots import aside
from qsv_eval.leaderboard.plots.aside import drawing
from qsv_eval.leaderboard.plots.draw import write_plots
from qsv_eval.leaderboard.plots.points import points_of
from qsv_eval.leaderboard.write import make_leaderboard
from qsv_eval.model_adapters.errors import SetupError


@pytest.fixture(autouse=True)
def always_aside(monkeypatch):
    monkeypatch.setattr(aside, "FEWEST", 0)


@pytest.fixture
def scores(tmp_path):
    write_seen_run(tmp_path / "run", ["right", "other", "right"])
    return make_leaderboard([tmp_path / "run"]).board.scores


def test_the_plots_are_the_same_bytes(tmp_path, scores):
    points = points_of(scores, {})
    here = write_plots(points, scores, tmp_path / "here")
    with drawing(points, scores, tmp_path / "there") as drawn:
        there = drawn()
    assert here
    assert [plot.title for plot in there] == [plot.title for plot in here]
    for one, other in zip(here, there, strict=True):
        assert one.svg.read_bytes() == other.svg.read_bytes()
        assert one.png.read_bytes() == other.png.read_bytes()


def test_what_goes_wrong_there_is_raised_here(tmp_path, scores):
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot be written to"), drawing({}, scores, tmp_path / "file") as drawn:
        drawn()


def test_a_process_that_is_killed_is_named(tmp_path, scores, monkeypatch):
    monkeypatch.setattr(aside, "write_plots", _dies)
    with pytest.raises(SetupError, match="was ended from outside"), drawing({}, scores, tmp_path / "out") as drawn:
        drawn()


def _dies(*_):
    os.kill(os.getpid(), signal.SIGKILL)
