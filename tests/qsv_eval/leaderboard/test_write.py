"""Files of a leaderboard: complete, reproducible, and harmless whatever the names in them are."""

import csv
import io
import re
import shutil
import subprocess

import pandas as pd
import pytest
from run_files import ANSWERS, replies, rows_of, write_foreign, write_results, write_run

from qsv_eval.leaderboard.csv_files import as_csv, csv_safe
from qsv_eval.leaderboard.latex import latex_escaped
from qsv_eval.leaderboard.load import SCORES
from qsv_eval.leaderboard.markdown import escaped
from qsv_eval.leaderboard.publish import publish
from qsv_eval.leaderboard.safe_text import natural, plain
from qsv_eval.leaderboard.tables import format_number
from qsv_eval.leaderboard.write import make_leaderboard, write_files
from qsv_eval.model_adapters.engine.failure import ERROR_REPLY
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.scoring.sample_result import Outcome

HOSTILE = "<script>alert(1)</script>|=cmd()|\x1b[31m**b**_i_`c`[l](http://x.y)$m$\\input{x}%&#~^\u202e\ud800\n@you"


def written(folder, *sources):
    files = write_files(make_leaderboard(list(sources)), folder)
    return {file.name: file.read_text("utf-8") for file in files}


@pytest.fixture
def runs(tmp_path):
    for frames, right in ((64, 0.4), (128, 0.9)):
        answers = {**ANSWERS, "frame_rule": {"max_frames": frames}}
        rows = {
            "qsv_videomme": rows_of("qsv_videomme", replies(90, right)),
            "qsv_mvbench": rows_of("qsv_mvbench", [*replies(29, right), ERROR_REPLY]),
        }
        write_run(tmp_path / "runs" / str(frames), rows, answers=answers)
    write_foreign(tmp_path / "runs" / "qwen")
    return tmp_path / "runs"


def test_what_is_on_the_page(tmp_path, runs):
    page = written(tmp_path / "out", runs)["leaderboard.md"]
    table = page.partition("## Official averages")[2].partition("##")[0]
    assert "| model | setting | qsv\\_mvbench | qsv\\_videomme | videomme (lmms-eval's own) |" in table
    best, second = (
        next(line for line in table.splitlines() if f"| max\\_frames={frames}" in line) for frames in (128, 64)
    )
    assert re.search(r"\*\*\d\d\.\d\*\* \[\d\d\.\d, \d\d\.\d\] n=90", best)
    assert re.search(r"[^*]\*\d\d\.\d\* \[", second)
    assert re.search(r"n=30, 1 error \(incomplete: \d+\.\d to \d+\.\d\)", best)
    assert re.search(r"\| LongVU-7B \| published \| 66\.9 \| 60\.6 \|  \|", table)
    assert "90 asked: " in page
    assert "## qsv\\_videomme: duration" in page
    assert "LongVU paper, arXiv 2410.17434" in page
    assert "64/20261101\\_000000\\_results.json" in page


def test_the_same_results_give_the_same_bytes(tmp_path, runs):
    once, again = (written(tmp_path / name, runs) for name in ("one", "two"))
    assert once == again
    runs.rename(tmp_path / "moved")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "moved").rename(tmp_path / "elsewhere" / "runs")
    assert written(tmp_path / "three", tmp_path / "elsewhere" / "runs") == once
    assert str(tmp_path) not in "".join(once.values())


def test_the_csv_files_are_whole(tmp_path, runs):
    files = written(tmp_path / "out", runs)
    scores = list(csv.DictReader(io.StringIO(files["scores.csv"])))
    assert list(scores[0]) == list(SCORES)
    assert {row["kind"] for row in scores} == {"official", "lmms-eval's own", "published"}
    assert all(row["source"] for row in scores if row["kind"] == "published")
    wide = {row["setting"]: row for row in csv.DictReader(io.StringIO(files["leaderboard.csv"]))}
    row = wide["max_frames=128"]
    assert (row["qsv_videomme n"], row["qsv_videomme mark"], row["qsv_mvbench mark"]) == ("90", "best", "incomplete")
    assert float(row["qsv_mvbench lowest"]) < float(row["qsv_mvbench"]) < float(row["qsv_mvbench highest"])
    assert row["videomme (lmms-eval's own)"] == ""
    assert (row["qsv_mvbench n"], row["qsv_mvbench error"], row["qsv_mvbench unparsed"]) == ("30", "1", "0")
    assert sum(int(row[f"qsv_mvbench {outcome.value}"]) for outcome in Outcome) == 30


def test_latex_is_balanced_and_has_as_many_cells_as_columns(tmp_path, runs):
    files = written(tmp_path / "out", runs)
    text = files["leaderboard.tex"]
    assert r"\textbf{" in text
    assert r"\underline{" in text
    assert r"\dagger" in text
    for tex in (text, files["breakdowns.tex"]):
        bare = tex.replace("\\\\", "").replace("\\{", "").replace("\\}", "")
        assert bare.count("{") == bare.count("}")
        assert tex.count(r"\begin{tabular}") == tex.count(r"\end{tabular}")
        for tabular in tex.split(r"\begin{tabular}")[1:]:
            columns = len(re.match(r"\{(l+r+)\}", tabular)[1])
            rows = [line for line in tabular.splitlines() if line.endswith(r" \\")]
            assert rows
            assert all(len(re.findall(r"(?<!\\)&", row)) == columns - 1 for row in rows)


def test_latex_says_what_its_marks_mean_where_a_reader_sees_it(tmp_path, runs):
    text = written(tmp_path / "out", runs)["leaderboard.tex"]
    below = text.partition(r"\end{tabular}")[2]
    assert r"$\dagger$: incomplete, with the possible range" in below
    assert "second best" in below
    assert r"\ddagger" not in text


def test_a_breakdown_of_many_groups_stands_on_its_side(tmp_path):
    """Video-MME has thirty sub-categories, and a page is not that wide."""
    groups = {"subtask": tuple(f"kind {number}" for number in range(20))}
    for name in ("a", "b"):
        write_run(tmp_path / name, {"qsv_mvbench": rows_of("qsv_mvbench", replies(60, 0.5), groups=groups)}, model=name)
    text = written(tmp_path / "out", tmp_path)["breakdowns.tex"]
    assert r"\begin{tabular}{lrr}" in text
    assert len([line for line in text.splitlines() if "kind" in line and line.endswith(r" \\")]) == 20
    assert r"{\scriptsize n=3}" in text


def test_hostile_names_are_shown_as_text(tmp_path):
    content = {"results": {HOSTILE: {"=x,none": 1.0}}, "model_name": HOSTILE, "higher_is_better": {}}
    write_results(tmp_path / "runs", content)
    files = written(tmp_path / "out", tmp_path / "runs")
    made = make_leaderboard([tmp_path / "runs"])
    publish(made, [tmp_path / "runs"], tmp_path / "page", page=True, plots=True, samples_per_task=9)
    pages = [path.read_text("utf-8") for path in (tmp_path / "page").rglob("*.*") if path.is_file()]
    assert len(pages) >= 2
    for text in [*files.values(), *pages]:
        assert not any(mark in text for mark in ("\x1b", "\u202e", "\ud800"))
    assert "<script>" not in files["leaderboard.md"]
    lines = [line for line in files["leaderboard.md"].splitlines() if line.startswith("|")]
    headlines = lines[:3]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in headlines}) == 1
    assert r"\input" not in files["leaderboard.tex"]
    for name in ("scores.csv", "runs.csv", "leaderboard.csv"):
        for row in csv.reader(io.StringIO(files[name])):
            assert not any(cell.startswith(("=", "+", "@", "-")) and not _is_number(cell) for cell in row)


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"-?[\d.]+", text))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1"])
def test_a_text_is_no_formula(text):
    [[cell]] = csv.reader(io.StringIO(as_csv(pd.DataFrame({"a": [text]})).partition("\n")[2]))
    assert cell == csv_safe(text)
    assert not cell.lstrip().startswith(("=", "+", "-", "@"))


def test_numbers_stay_numbers():
    frame = pd.DataFrame({"x": [-1.23456789, None], "n": pd.array([3, None], dtype="Int64"), "ok": [True, False]})
    assert as_csv(frame) == "x,n,ok\n-1.234568,3,True\n,,False\n"


def test_text():
    assert plain("a\x1b[0m\nb") == r"a\x1b[0m\nb"
    assert plain("wide\u3000space, ärger 視頻") == "wide space, ärger 視頻"
    assert plain("x" * 1_000_000, 10) == "xxxxxxxxxx… (1,000,000 characters)"
    assert sorted(["f=128", "f=64", "a"], key=natural) == ["a", "f=64", "f=128"]


def test_markdown_and_latex_escapes():
    assert escaped("a|b <i> https://x *c*") == r"a\|b &lt;i&gt; https:/&#47;x \*c\*"
    assert latex_escaped("50% of a_b & {c}\\") == r"50\% of a\_b \& \{c\}\textbackslash{}"
    assert latex_escaped('a--b "c"') == r"a-{}-b {\char34}c{\char34}"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_a_paper_can_take_the_tables_in(tmp_path):
    ascii_only = "".join(map(chr, range(32, 127)))
    for number, name in enumerate([HOSTILE, ascii_only]):
        write_run(tmp_path / str(number), {"qsv_mvbench": rows_of("qsv_mvbench", replies(9, 0.5))}, model=name)
    write_files(make_leaderboard([tmp_path]), tmp_path)
    head, end = r"\documentclass{article}\usepackage{booktabs}\begin{document}", r"\end{document}"
    for table in ("leaderboard", "breakdowns"):
        (tmp_path / "paper.tex").write_text(rf"{head}\tiny\input{{{table}.tex}}{end}")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
        made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stdout


@pytest.mark.parametrize(
    ("value", "scale", "text"),
    [(61.54, "percent", "61.5"), (3.424, "0 to 5", "3.42"), (2311.26, "0 to 2800", "2311.3"), (0.61543, "", "0.6154")],
)
def test_digits(value, scale, text):
    assert format_number(value, scale) == text


def test_a_folder_that_cannot_be_written_to(tmp_path, runs):
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="name another --output"):
        write_files(make_leaderboard([runs]), tmp_path / "file")


def test_second_best_may_be_near_the_best_and_both_are_said(tmp_path):
    for frames, right in ((64, 0.5), (128, 0.55)):
        answers = {**ANSWERS, "frame_rule": {"max_frames": frames}}
        rows = {"qsv_videomme": rows_of("qsv_videomme", replies(90, right))}
        write_run(tmp_path / "runs" / str(frames), rows, answers=answers)
    files = written(tmp_path / "out", tmp_path / "runs")
    marks = {row["setting"]: row["qsv_videomme mark"] for row in csv.DictReader(io.StringIO(files["leaderboard.csv"]))}
    assert marks["max_frames=64"] == "second, near the best"
    assert re.search(r"\*\d\d\.\d\*≈ \[", files["leaderboard.md"])


def test_a_published_number_of_a_group_has_its_source_on_the_page(tmp_path, runs):
    sources = written(tmp_path / "out", runs)["leaderboard.md"].partition("## Published numbers")[2]
    assert re.search(r"\| NVILA-8B \|  \| qsv\\_videomme \| long \| 54\.8 \| TPO paper", sources)
