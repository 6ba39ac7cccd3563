"""`qsv-eval leaderboard` and `qsv-eval compare` on the command line."""

import re
import subprocess
import sys

import pytest
from run_files import ANSWERS, replies, rows_of, write_foreign, write_run
from typer.testing import CliRunner

from qsv_eval.cli import app
from qsv_eval.model_adapters.engine.failure import ERROR_REPLY
from qsv_eval.model_adapters.errors import SetupError

FILES = {
    "leaderboard.md",
    "leaderboard.csv",
    "leaderboard.tex",
    "breakdowns.tex",
    "scores.csv",
    "runs.csv",
    "protocols.json",
}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    for frames, right in ((64, 0.3), (420, 0.8)):
        answers = {**ANSWERS, "frame_rule": {"max_frames": frames}}
        rows = rows_of("qsv_videomme", replies(90, right, seed=frames))
        write_run(tmp_path / "runs" / str(frames), {"qsv_videomme": rows}, answers=answers)
    return tmp_path / "runs"


def test_a_leaderboard(runs, tmp_path):
    done = CliRunner().invoke(app, ["leaderboard", "runs"])
    assert done.exit_code == 0, done.output
    assert "max_frames=420" in done.output
    assert {path.name for path in (tmp_path / "results").iterdir() if path.is_file()} == FILES | {"index.html"}
    first = {name: (tmp_path / "results" / name).read_bytes() for name in FILES}
    CliRunner().invoke(app, ["leaderboard", "runs"])
    assert {name: (tmp_path / "results" / name).read_bytes() for name in FILES} == first


def test_page_and_plots_may_be_left_out(runs, tmp_path):
    for options, wanted in (
        (["--no-page"], {"plots"}),
        (["--no-plots", "--samples-per-task", "5"], {"page", "index.html"}),
        (["--no-page", "--no-plots"], set()),
    ):
        done = CliRunner().invoke(app, ["leaderboard", "runs", "--output", "-".join(options), *options])
        assert done.exit_code == 0, done.output
        found = {path.name for path in (tmp_path / "-".join(options)).iterdir()}
        assert found - FILES == wanted
    assert (tmp_path / "--no-plots---samples-per-task-5" / "page" / "samples").is_dir()


def test_an_incomplete_leaderboard_says_so(runs, tmp_path):
    write_run(tmp_path / "bad", {"qsv_videomme": rows_of("qsv_videomme", ["C", ERROR_REPLY])})
    done = CliRunner().invoke(app, ["leaderboard", "runs", "bad", "--output", "tables"])
    assert done.exit_code == 3
    assert "incomplete: 50.0 to 100.0" in done.output


def test_published_numbers_of_ones_own(runs, tmp_path):
    header = "model,task,field,group,value,frames,subtitles,split,average,judge,source,note"
    (tmp_path / "mine.csv").write_text(f"{header}\nMine,qsv_videomme,,,61.25,32,no,,,,my paper,\n")
    CliRunner().invoke(app, ["leaderboard", "runs", "--peers", "mine.csv"])
    page = (tmp_path / "results" / "leaderboard.md").read_text()
    assert "| Mine | published, frames=32 | 61.2 |" in page
    assert "GPT-4o" not in page


def test_a_comparison(runs, tmp_path):
    done = CliRunner().invoke(app, ["compare", "runs/64", "runs/420", "--flips", "2", "--output", "difference"])
    assert done.exit_code == 0, done.output
    assert "answers.frame_rule.max_frames" in done.output
    assert "The average of B is significantly higher." in done.output
    assert "questions on which only one run is right" in done.output
    assert {path.name for path in (tmp_path / "difference").iterdir()} == {
        "comparison.md",
        "differences.csv",
        "flips.csv",
    }
    page = (tmp_path / "difference" / "comparison.md").read_text()
    assert page.index("protocols differ") < page.index("official average") < page.index("only one run is right")


def test_a_comparison_warns_where_the_questions_differ(runs, tmp_path):
    write_run(tmp_path / "few", {"qsv_videomme": rows_of("qsv_videomme", ["C"] * 12)})
    done = CliRunner().invoke(app, ["compare", "runs/64", "few"])
    assert "WARNING: 78 questions only in A: 00012, 00013" in done.output


def test_unknown_clusters_are_said(runs, tmp_path):
    for name in "ab":
        write_foreign(tmp_path / name, configs={})
    done = CliRunner().invoke(app, ["compare", "a", "b"])
    assert "does not state which questions share a video" in done.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["leaderboard", "nowhere"], "nowhere: there is no such folder"),
        (["leaderboard", "runs", "--peers", "none.csv"], "none.csv: cannot be read"),
        (["compare", "runs/64", "nowhere"], "nowhere: there is no samples file"),
    ],
)
def test_what_is_wrong_is_said(runs, words, says):
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, SetupError)
    assert says in str(done.exception)


@pytest.mark.parametrize("verb", ["leaderboard", "compare"])
def test_help_has_an_example(verb):
    assert "Example: " in CliRunner().invoke(app, [verb, "--help"]).output


def test_no_samples_are_read_for_tables_and_no_model_is_loaded(runs):
    for path in runs.rglob("*.jsonl"):
        path.write_text("torn {")
    code = (
        "import sys; from qsv_eval.cli import app; "
        "app(['leaderboard', 'runs'], standalone_mode=False); "
        "print(sorted({'torch', 'transformers', 'lmms_eval'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip().endswith("[]"), done.stderr


def test_no_number_of_a_comparison_is_cut_in_a_narrow_terminal(runs, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for frames, right in ((64, 0.36), (420, 0.56)):
        rows = rows_of("qsv_videomme", replies(420, right, seed=frames))
        write_run(runs / str(frames), {"qsv_videomme": rows}, stamp="20261102_000000")
    done = CliRunner().invoke(app, ["compare", "runs/64", "runs/420", "--flips", "0"])
    assert done.exit_code == 0, done.output
    [line] = [line for line in done.output.splitlines() if line.strip().startswith("official")]
    assert len(line.split()) == 10, "n, A, B, difference, interval, p, right alone, McNemar's p, minimum detectable"
    assert re.fullmatch(r"\d+\.\d", line.split()[-1]), "the last column is whole"
    assert len(line.rstrip()) <= 80
    assert "…" not in line
