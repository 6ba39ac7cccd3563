"""Plots and the page are made whatever files and tasks are called, with the files beside the results."""

import json
import os
import re

import pytest
from run_files import replies, rows_of, write_foreign, write_results, write_run
from seen_runs import write_seen_run

from qsv_eval.leaderboard.load import load
from qsv_eval.leaderboard.publish import publish
from qsv_eval.leaderboard.write import make_leaderboard

NAMES = {
    "no-break space": "two\u00a0words",
    "joiner": "fam\u200dily",
    "escape": "\x1b[31mred",
    "undecodable byte": os.fsdecode(b"byte \xff"),
    "long": "/".join(letter * 200 for letter in "abc"),
}


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("QSV_DATA", str(tmp_path / "data"))


def scores_on_page(folder, output):
    publish(make_leaderboard([folder]), [folder], output, page=True, plots=True, samples_per_task=9)
    page = (output / "index.html").read_text("utf-8")
    assert not set(page) & {"\x1b", "\u200d", "\ud800"}
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1]
    return [score for score in json.loads(data)["scores"] if score["kind"] != "published"]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_folder_may_be_called_anything(tmp_path, name):
    write_seen_run(tmp_path / "runs" / name, ["right", "other"])
    [score] = scores_on_page(tmp_path / "runs", tmp_path / "out")
    assert score["usage"]["frames"] == 8
    assert score["shelf"]["samples"] == 2
    assert score["file"].isprintable()


def test_files_whose_names_are_cut_alike_stay_two(tmp_path):
    folder = tmp_path / "runs" / NAMES["long"]
    for stamp, right in (("20261101_000000", 0.5), ("20261102_000000", 1.0)):
        rows = {"qsv_mvbench": rows_of("qsv_mvbench", replies(9, right))}
        write_run(folder, rows, stamp=stamp, model=f"org/{stamp}")
    assert load([tmp_path / "runs"]).runs["file"].nunique() == 2
    scores = scores_on_page(tmp_path / "runs", tmp_path / "out")
    assert len({score["shelf"]["key"] for score in scores}) == 2


@pytest.mark.parametrize("name", ["a/b", "../../etc/passwd", "x" * 400, "nothing\0", "half \ud800", "\x1b[31m", ".."])
def test_a_task_that_no_file_is_called_after_has_no_samples(tmp_path, name):
    write_results(tmp_path / "runs", {"results": {name: {"x,none": 1.0}}, "model_name": "org/other"})
    [score] = scores_on_page(tmp_path / "runs", tmp_path / "out")
    assert score["shelf"]["why"] == "there is no samples file beside the results"
    assert score["task"].isprintable()


def test_a_task_whose_name_is_not_shown_as_it_is_has_its_samples(tmp_path):
    write_foreign(tmp_path / "runs", "two\u00a0words")
    [score] = scores_on_page(tmp_path / "runs", tmp_path / "out")
    assert score["shelf"]["samples"] == 3
