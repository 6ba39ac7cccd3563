"""Jobs over several processes: results in order, errors raised in this process, a killed process reported."""

import os
import threading

import pytest
from jobs import dies, fails, process
from seen_runs import write_seen_run

from qsv_eval.leaderboard.page.read_run import RunFiles, SelectedSamples, read_run
from qsv_eval.leaderboard.parallel import MIN_JOBS, parallel_map
from qsv_eval.leaderboard.plots.draw import drawings_of, write_plots
from qsv_eval.leaderboard.plots.points import points_of
from qsv_eval.leaderboard.run_index import origins_of
from qsv_eval.leaderboard.write import make_leaderboard
from qsv_eval.model_adapters.errors import SetupError


def test_few_jobs_stay_in_this_process():
    for jobs, processes in ((MIN_JOBS - 1, 2), (MIN_JOBS, 1)):
        with parallel_map(jobs, processes) as mapped:
            assert list(mapped(process, range(3))) == [os.getpid()] * 3


def test_results_come_in_the_order_of_the_jobs():
    jobs = range(50)
    with parallel_map(len(jobs), 2) as mapped:
        assert list(mapped(str, jobs)) == list(map(str, jobs))
        assert os.getpid() not in set(mapped(process, jobs))


def test_plots_are_the_same_bytes_and_samples_the_same(tmp_path):
    write_seen_run(tmp_path / "run", ["right", "other", "hm", "right"])
    scores = make_leaderboard([tmp_path / "run"]).measured.scores
    [origin] = origins_of([tmp_path / "run"]).values()
    [task] = set(scores["task"])
    files = RunFiles({task: origin.samples(task), "none": None}, origin.journal, 3)
    here = write_plots(drawings_of(points_of(scores, {}), scores, tmp_path / "here"), tmp_path / "here")
    with parallel_map(MIN_JOBS, 2) as mapped:
        there = write_plots(drawings_of(points_of(scores, {}), scores, tmp_path / "there"), tmp_path / "there", mapped)
        assert list(mapped(read_run, [files] * 2)) == [read_run(files)] * 2
    assert here
    assert [plot.title for plot in there] == [plot.title for plot in here]
    for one, other in zip(here, there, strict=True):
        assert one.svg.read_bytes() == other.svg.read_bytes()
        assert one.png.read_bytes() == other.png.read_bytes()
    found = read_run(files)
    assert isinstance(found.samples[task], SelectedSamples)
    assert found.samples["none"] == "there is no samples file beside the results"
    assert {place for place, _ in found.frames} == {task}


def test_what_goes_wrong_there_is_raised_here():
    with pytest.raises(ZeroDivisionError), parallel_map(MIN_JOBS, 2) as mapped:
        list(mapped(fails, range(MIN_JOBS)))


def test_a_process_that_is_killed_is_named():
    with pytest.raises(SetupError, match="a process was killed"), parallel_map(MIN_JOBS, 2) as mapped:
        list(mapped(dies, range(MIN_JOBS)))
    assert not [thread for thread in threading.enumerate() if "Executor" in thread.name]
