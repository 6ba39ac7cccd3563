"""What stands in results/ is what the run files beside it give."""

import runpy
from pathlib import Path

from qsv_eval.leaderboard.write import make_leaderboard, write_files

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"


def test_the_tables_are_those_of_the_runs(tmp_path):
    written = write_files(make_leaderboard([RESULTS / "runs"]), tmp_path)
    assert len(written) == 7
    for file in written:
        assert (RESULTS / "demo" / file.name).read_bytes() == file.read_bytes(), file.name


def test_the_ablations_tables_are_those_of_its_trials():
    ablation = runpy.run_path(str(ROOT / "benchmarks" / "ablation_cubes.py"))
    assert ablation["report"](RESULTS / "ablation" / "trials") == (RESULTS / "ablation" / "tables.md").read_text()


def test_no_folder_of_a_machine_is_in_them():
    for file in RESULTS.rglob("*"):
        if file.suffix in (".json", ".md", ".csv", ".tex", ".html", ".js"):
            text = file.read_text("utf-8")
            assert not any(f"{root}/" in text for root in ("/home", "/root", "/tmp", "/work", "/data")), file
