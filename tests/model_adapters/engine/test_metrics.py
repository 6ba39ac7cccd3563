import json

import pytest

from qsv_eval.model_adapters.engine.metrics import AnswerCost, Efficiency, summarise_costs, summarise_efficiency
from qsv_eval.model_adapters.engine.records import AnswerStatus, Record, VideoUse
from qsv_eval.model_adapters.frames.read_job import ReadResult
from qsv_eval.model_adapters.stage_timer import STAGES


def record(seconds, frames=0, cubes=0, peak_bytes=0):
    videos = [
        VideoUse(timestamps_s=[float(i) for i in range(frames)], cubes=[(i, i + 1, None, None) for i in range(cubes)])
    ]
    return Record(
        key="k",
        task="t",
        doc_id=1,
        split="test",
        repeat=0,
        sample_id="q",
        fate=AnswerStatus.ANSWERED,
        videos=videos if frames else [],
        visual_tokens=16 * cubes,
        seconds=seconds,
        peak_bytes=peak_bytes,
    )


def process(files, wall_s, stages, records, read_s=1.0, from_store=False):
    efficiency = Efficiency(wall_s=wall_s)
    efficiency.add_stages(stages)
    for name in files:
        efficiency.add_read(name, ReadResult(None, None, read_s, from_store))
    for each in records:
        efficiency.add_record(each)
    return efficiency


def two_processes():
    stages = {"wait": 1.0, "vit": 3.0, "other": 6.0}
    first = process(["a", "b"], 10.0, stages, [record({"vit": 1.0, "other": 1.0}, 20, 4, 100), record({"vit": 2.0})])
    second = process(["b"], 20.0, {"generation": 19.0}, [record({"generation": 8.0}, 10, 2, 300)], 2.0, True)
    return [first, second]


def test_two_processes():
    summary = summarise_efficiency(two_processes())
    assert summary["processes"] == 2
    assert summary["wall_s"] == 20.0  # the slower one's
    assert (summary["reads"], summary["reads_from_store"], summary["videos"]) == (3, 1, 2)
    assert summary["reads_per_video"] == 1.5
    assert (summary["questions"], summary["questions_per_minute"], summary["videos_per_minute"]) == (3, 9.0, 6.0)
    assert (summary["p50_s"], summary["p95_s"]) == (2.0, pytest.approx(7.4))
    assert (summary["frames"], summary["cubes"], summary["visual_tokens"]) == (10.0, 2.0, 32.0)
    assert summary["peak_bytes"] == 300


def test_stages_are_summed_over_processes_and_held_against_their_time():
    summary = summarise_efficiency(two_processes())
    assert summary["stages"] == dict.fromkeys(STAGES, 0.0) | {"wait": 1, "vit": 3, "generation": 19, "other": 6}
    assert summary["accounted"] == 29 / 30


def test_stages_of_several_calls_add_up():
    efficiency = Efficiency()
    efficiency.add_stages({"vit": 1.0, "wait": 2.0})
    efficiency.add_stages({"vit": 4.0})
    assert efficiency.stages == {"vit": 5.0, "wait": 2.0}


@pytest.mark.parametrize(("wait_s", "overlap"), [(0.0, 1.0), (1.0, 0.75), (4.0, 0.0), (5.0, 0.0)])
def test_overlap_is_the_reading_that_nobody_waited_for(wait_s, overlap):
    assert summarise_efficiency([process(["a", "b"], 10.0, {"wait": wait_s}, [], 2.0)])["overlap"] == overlap


@pytest.mark.parametrize("processes", [[], [Efficiency()], [Efficiency(), Efficiency()]])
def test_a_run_that_asked_nothing(processes):
    summary = summarise_efficiency(processes)
    unknown = {name for name, value in summary.items() if value is None}
    assert unknown == {
        *("accounted", "overlap", "reads_per_video", "questions_per_minute", "videos_per_minute", "p50_s", "p95_s"),
        *("frames", "cubes", "visual_tokens"),
    }
    assert (summary["questions"], summary["videos"], summary["wall_s"]) == (0, 0, 0.0)


def test_an_idle_process_changes_no_rate():
    busy, idle = two_processes()[0], Efficiency()
    alone, both = summarise_efficiency([busy]), summarise_efficiency([busy, idle])
    assert {name for name in alone if alone[name] != both[name]} == {"processes"}


def test_a_summary_is_plain():
    assert json.loads(json.dumps(summarise_efficiency(two_processes()))) == summarise_efficiency(two_processes())


def test_means_and_ends():
    costs = [
        AnswerCost(frames, frames // 4, 10 * frames, 100, 2, {"vit": frames / 10}, 0.5) for frames in range(1, 101)
    ]
    summary = summarise_costs(costs)
    assert summary["answers"] == 100
    assert summary["frames"] == {"mean": 50.5, "p5": pytest.approx(5.95), "p95": pytest.approx(95.05)}
    assert summary["tokens_per_frame"] == 10
    assert summary["seconds"]["vit"] == pytest.approx(5.05)
    assert summary["seconds"]["prefill"] == 0
    assert (summary["prompt_tokens"], summary["read_s"]) == (100, 0.5)


def test_answers_without_frames_have_no_tokens_a_frame():
    assert summarise_costs([AnswerCost(prompt_tokens=7)])["tokens_per_frame"] is None
    assert summarise_costs([]) == {}
