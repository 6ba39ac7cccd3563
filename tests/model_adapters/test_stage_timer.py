"""No second is lost and none is counted twice; sums are compared, not times."""

import threading
import time

import pytest

from qsv_eval.model_adapters.stage_timer import STAGES, StageTimer, next_stage, stage


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def work(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_an_inner_stage_stops_the_outer_one(clock):
    watch = StageTimer()
    with watch.running():
        clock.work(1)
        with stage("vit"):
            clock.work(2)
            with stage("cubing"):
                clock.work(4)
                with stage("vit"):
                    clock.work(8)
            clock.work(16)
        clock.work(32)
    clock.work(64)  # it has been stopped
    assert watch.seconds == {"other": 33, "vit": 26, "cubing": 4}


def test_stages_sum_to_the_time_that_it_ran():
    watch = StageTimer()
    started = time.perf_counter()
    with watch.running():
        for name in STAGES:
            with stage(name), stage("vit"):
                time.sleep(0.002)
            next_stage("wait")
    assert sum(watch.seconds.values()) == pytest.approx(time.perf_counter() - started, rel=0.1)
    assert set(watch.seconds) <= set(STAGES)


def test_proceed_counts_the_rest_of_a_stage_as_another(clock):
    watch = StageTimer()
    with watch.running():
        with stage("prefill"):
            clock.work(1)
            next_stage("prefill")
            clock.work(2)
            next_stage("generation")
            clock.work(4)
        clock.work(8)
    assert watch.seconds == {"prefill": 3, "generation": 4, "other": 8}


def test_laps_add_up_to_the_whole(clock):
    watch = StageTimer()
    laps = []
    with watch.running():
        for seconds in (1, 2, 4):
            with stage("vit"):
                clock.work(seconds)
                laps.append(watch.lap())  # in the middle of a stage
            clock.work(10 * seconds)
    laps.append(watch.lap())
    assert laps == [{"vit": 1}, {"other": 10, "vit": 2}, {"other": 20, "vit": 4}, {"other": 40}]
    assert watch.lap() == {}
    assert watch.seconds == {"vit": 7, "other": 70}


def test_an_exception_ends_its_stages(clock):
    watch = StageTimer()

    def fail():
        with stage("vit"), stage("cubing"):
            clock.work(1)
            raise ZeroDivisionError

    with watch.running():
        with pytest.raises(ZeroDivisionError):
            fail()
        clock.work(2)
    assert watch.seconds == {"cubing": 1, "vit": 0, "other": 2}


def test_an_exception_ends_the_run(clock):
    watch = StageTimer()

    def fail():
        with watch.running(), stage("vit"):
            clock.work(1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with stage("vit"):
        clock.work(2)
    assert watch.seconds["vit"] == 1


def test_it_can_run_again(clock):
    watch = StageTimer()
    for _ in range(2):
        with watch.running(), stage("vit"):
            clock.work(1)
        clock.work(5)
    assert watch.seconds == {"other": 0, "vit": 2}


def test_the_innermost_stopwatch_counts(clock):
    outer, inner = StageTimer(), StageTimer()
    with outer.running():
        with inner.running(), stage("vit"):
            clock.work(1)
        with stage("vit"):
            clock.work(2)
    assert (inner.seconds["vit"], outer.seconds["vit"]) == (1, 2)


def test_without_a_stopwatch_nothing_happens():
    with stage("vit"):
        next_stage("cubing")
    next_stage("cubing")


def test_other_threads_are_not_counted(clock):
    watch = StageTimer()

    def elsewhere():
        with stage("vit"):
            clock.work(1)

    with watch.running():
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert watch.seconds == {"other": 1}


def test_a_stage_waits_for_the_accelerator(clock):
    queued = [0]

    def synchronise():
        clock.work(queued[0])
        queued[0] = 0

    watch = StageTimer(synchronise)
    with watch.running():
        with stage("vit"):
            queued[0] = 5  # launched, and Python runs ahead
        with stage("cubing"):
            clock.work(1)
    assert watch.seconds == {"vit": 5, "cubing": 1, "other": 0}
