"""Real sweeps over the built-in benchmark."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qsv_eval.cli import app
from qsv_eval.leaderboard.load import load
from qsv_eval.leaderboard.run_index import journal_beside, read_records
from qsv_eval.model_adapters.engine.metrics import AnswerCost, summarise_costs, summarise_efficiency
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.model_args import ModelArgs
from qsv_eval.run import RunReport, TaskReport, run
from qsv_eval.sweep import run_sweep
from qsv_eval.sweep.grid import Grid
from qsv_eval.sweep.run_sweep import folders, models, print_cells, sweep

OPTIONS = {"device": "cpu", "dtype": "float32"}


@pytest.fixture(scope="module", autouse=True)
def clip_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("QSV_DATA", raising=False)
        yield


@pytest.fixture
def grid(tiny):
    def make(**axes):
        return Grid.of({"tasks": ["demo"], "checkpoints": [str(tiny)], **axes})

    return make


def samples_of(report, name):
    [file] = report.results_file.parent.glob(f"*_samples_{name}.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_sweep_is_one_run_whose_cells_are_those_run_alone(grid, tiny, tmp_path):
    axes = {"frames": [4, 16], "fps": [1, 2], "frames_per_cube": [2.5]}
    [report] = sweep(grid(**axes), OPTIONS, tmp_path / "sweep", limit=6).values()
    results = json.loads(report.results_file.read_text())
    names = [f"qsv_demo@max_frames={frames},fps={fps},frames_per_cube=2.5" for frames in (4, 16) for fps in (1.0, 2.0)]
    assert list(results["results"]) == names
    assert results["efficiency"]["reads_per_video"] == 1
    for name in names:
        protocol = results["protocols"][name]
        assert protocol["task"] == "qsv_demo"
        assert protocol["generation"]["max_new_tokens"] == 32
        assert protocol["generation"]["until"] == []
        frames, fps = protocol["answers"]["frame_rule"]["max_frames"], protocol["answers"]["frame_rule"]["fps"]
        assert name.startswith(f"qsv_demo@max_frames={frames},fps={fps},")
        assert protocol["answers"]["cube_rule"]["frames_per_cube"] == 2.5
        assert results["usage"][name]["frames"]["p95"] <= frames
    assert len({results["results"][name]["outcome,none"]["protocol"]["hash"] for name in names}) == 4
    model = ModelArgs.parse({"pretrained": str(tiny), "max_frames": 16, "fps": 2, "frames_per_cube": 2.5, **OPTIONS})
    alone = run(["demo"], model, tmp_path / "alone", limit=6)
    hash_alone = json.loads(alone.results_file.read_text())["results"]["qsv_demo"]["outcome,none"]["protocol"]["hash"]
    assert results["results"][names[-1]]["outcome,none"]["protocol"]["hash"] == hash_alone
    in_sweep = [sample["outcome"]["reply"] for sample in samples_of(report, names[-1])]
    assert in_sweep == [sample["outcome"]["reply"] for sample in samples_of(alone, "qsv_demo")]


def test_cells_are_rows_of_a_leaderboard_and_can_be_compared(grid, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    [report] = sweep(grid(cubing=["learned", "equal"], frames=[4, 8]), OPTIONS, tmp_path / "out", limit=6).values()
    scores = load([tmp_path / "out"]).scores
    headlines = scores[scores["shown"] & (scores["field"] == "")]
    assert set(headlines["task"]) == {"qsv_demo"}
    assert sorted(headlines["setting"]) == [
        f"cubing={cubing}, max_frames={frames}" for cubing in ("equal", "learned") for frames in (4, 8)
    ]
    run_folder = report.output
    cells = [f"{run_folder}@max_frames=8,cubing={cubing}" for cubing in ("learned", "equal")]
    done = CliRunner().invoke(app, ["compare", *cells])
    assert done.exit_code == 0, done.output
    assert "answers.cube_rule.cubing" in done.output
    wrong = CliRunner().invoke(app, ["compare", f"{run_folder}@max_frames=9", cells[0]])
    assert "there is no variant max_frames=9; the variants are max_frames=4,cubing=equal" in str(wrong.exception)


def test_a_cell_more_costs_that_cell(grid, tmp_path):
    [first] = sweep(grid(frames=[4]), OPTIONS, tmp_path / "out", limit=3).values()
    [second] = sweep(grid(frames=[4, 8]), OPTIONS, tmp_path / "out", limit=3).values()
    assert (first.asked, second.asked) == (3, 3)
    [again] = sweep(grid(frames=[4, 8]), OPTIONS, tmp_path / "out", limit=3).values()
    assert again.asked == 0
    results = json.loads(again.results_file.read_text())
    assert [use["answers"] for use in results["usage"].values()] == [3, 3], "known answers count too"


def test_an_axis_more_with_the_value_that_it_had_costs_nothing(grid, tmp_path):
    [first] = sweep(grid(frames=[4]), OPTIONS, tmp_path / "out", limit=3).values()
    [second] = sweep(grid(frames=[4], fps=[1], frame_rule=["reference"]), OPTIONS, tmp_path / "out", limit=3).values()
    assert (first.asked, second.asked) == (3, 0)
    before, after = (json.loads(report.results_file.read_text()) for report in (first, second))
    [old], [new] = before["results"], after["results"]
    assert (old, new) == ("qsv_demo@max_frames=4", "qsv_demo@max_frames=4,fps=1.0,frame_rule=reference")
    assert after["protocols"][new]["hash"] == before["protocols"][old]["hash"]
    assert after["usage"][new] == before["usage"][old]
    ids = {sample["outcome"]["id"] for sample in samples_of(second, new)}
    found = read_records(journal_beside(second.results_file), {new: ids})
    assert set(found) == {(new, one) for one in ids}


def test_a_checkpoint_that_is_there_twice_is_refused(grid, tiny, tmp_path):
    with pytest.raises(SetupError, match="duplicate checkpoint"):
        sweep(grid(checkpoints=[str(tiny), f"{tiny}/"]), OPTIONS, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("wrong", ["absent", "occupied"])
def test_all_checkpoints_are_looked_at_before_the_first_is_run(grid, tiny, tmp_path, wrong):
    """Else the night is over when the second is found to be none."""
    other = tmp_path / "typo"
    if wrong == "occupied":
        shutil.copytree(tiny, other)
        [_, folder] = folders(models(grid(checkpoints=[str(tiny), str(other)]), OPTIONS), tmp_path / "out")
        folder.mkdir(parents=True)
        (folder / "thesis.tex").touch()
    with pytest.raises(SetupError, match=r"typo"):
        sweep(grid(checkpoints=[str(tiny), str(other)], frames=[4]), OPTIONS, tmp_path / "out", limit=2)
    assert not list(tmp_path.rglob("journal"))


def test_options_of_the_model_are_those_of_a_run(tiny, tmp_path, monkeypatch):
    """`run` and `sweep` name and check them alike."""
    seen = {}
    monkeypatch.setattr(
        run_sweep, "sweep", lambda grid, options, output, **more: seen.update(models(grid, options)[0]) or {}
    )
    command = ["sweep", "--tasks", "demo", "--pretrained", str(tiny), "--frames", "4", "--resize", "fast"]
    command += ["--subfolder", "x", "--revision", "main", "--load-in-4bit", "--device-map", "auto", "--allow-degraded"]
    command += ["--gpus-per-process", "2", "--cache-gb", "3", "--fps", "2", "--output", str(tmp_path)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    wanted = {"resize": "fast", "subfolder": "x", "revision": "main", "load_in_4bit": True, "device_map": "auto"}
    wanted |= {"allow_degraded": True, "gpus_per_process": 2, "cache_gb": 3.0, "fps": 1.0, "max_frames": 420}
    assert {name: seen[name] for name in wanted} == wanted


def test_the_command_line(tiny, tmp_path):
    command = ["sweep", "--tasks", "demo", "--pretrained", str(tiny), "--frames", "4,8", "--device", "cpu"]
    command += ["--limit", "2", "--output", str(tmp_path / "out")]
    planned = CliRunner().invoke(app, [*command, "--dry-run"])
    assert planned.exit_code == 0, planned.output
    assert "2 cells" in planned.output
    assert not (tmp_path / "out").exists()
    done = CliRunner().invoke(app, [*command, "--dtype", "float32"])
    assert done.exit_code == 0, done.output
    assert "4 questions asked in this run" in done.output


SUMMARY = {"value": 57.14, "interval": [52.6, 61.7], "scale": "percent", "n": 420, "complete": True, "counts": {}}


@pytest.fixture
def shown(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")

    def show(*tasks, results="out/r.json"):
        print_cells(
            "some/checkpoint", RunReport(Path("out"), Path(results), list(tasks), 840, 0, summarise_efficiency([]))
        )
        return capsys.readouterr().out

    return show


def test_a_cell_is_a_line_with_what_it_took(shown):
    use = summarise_costs([AnswerCost(frames, 5, 24, 78, 2, {"vit": 0.02, "prefill": 0.01}) for frames in (14, 26, 32)])
    said = shown(TaskReport("qsv_demo@max_frames=32", {"outcome": SUMMARY}, 0, usage=use))
    [line] = [line for line in said.splitlines() if "max_frames=32" in line]
    assert line.split() == ["max_frames=32", "57.1", "(52.6-61.7)", "420", "24", "(15-31)", "5", "1.0", "0.03"]
    assert "some/checkpoint" in said
    assert "840 questions asked" in said
    assert "INCOMPLETE" not in said


def test_a_judges_scale_has_two_digits(shown):
    judged = SUMMARY | {"value": 3.424, "interval": [3.311, 3.537], "scale": "0 to 5"}
    assert "3.42 (3.31-3.54)" in shown(TaskReport("qsv_activitynetqa@fps=2.0", {"outcome": judged}, 0))


def test_a_path_is_printed_as_it_is(shown):
    said = shown(TaskReport("qsv_demo@fps=2.0", {"outcome": SUMMARY}, 0), results="out[v2]/[red]r.json")
    assert "results in out[v2]/[red]r.json" in said


def test_what_is_incomplete_says_so(shown):
    incomplete = SUMMARY | {"complete": False, "interval": None}
    said = shown(
        TaskReport("qsv_demo@fps=2.0", {"outcome": incomplete}, 3), TaskReport("mmlu@fps=2.0", {"acc": 0.5}, 0)
    )
    assert "57.1 INCOMPLETE" in said
    assert "some questions have no answer" in said
    assert "qsv_demo@fps=2" in said.replace("\n", ""), "of several tasks each is named"
    assert "0.5" in said
