"""Every official layout, prepared and as downloaded: the same samples, and every file found."""

from pathlib import Path

import pytest
from official import (
    VIDEO_LAYOUTS,
    mlvu_parquet,
    mvbench_main,
    mvbench_video,
    picture,
    put,
    videochatgpt_hub,
    videochatgpt_json,
)

from qsv_eval.data.archives import Archive, unpack
from qsv_eval.data.benchmark import BenchmarkSources
from qsv_eval.data.frame_folder import mux_frames
from qsv_eval.data.prepare import prepare
from qsv_eval.model_adapters.frames import FrameRule, read_video
from qsv_eval.tasks.registry import benchmark_named

IDS = [f"{layout.benchmark}-{layout.make.__name__}" for layout in VIDEO_LAYOUTS]


@pytest.mark.parametrize("layout", VIDEO_LAYOUTS, ids=IDS)
def test_a_layout_is_prepared(layout, tmp_path, empty_machine):
    benchmark = benchmark_named(layout.benchmark)
    layout.make(tmp_path / "download")
    prepared = prepare(benchmark, tmp_path / "download", empty_machine)
    assert prepared.samples == layout.samples
    assert prepared.missing == []
    for set_name in layout.samples:
        samples = benchmark.samples(set_name)
        assert len(samples) == layout.samples[set_name]
        for sample in samples:
            assert Path(sample.video.path).is_absolute()
            assert Path(sample.video.path).exists()
            assert sample.question
            assert sample.cluster
            assert not sample.options or sample.answer in (*"ABCDEF"[: len(sample.options)], "")


def made(layout, tmp_path, name=None):
    """Return the samples of the first set of a layout as it lies, without preparing it."""
    layout(tmp_path)
    benchmark = benchmark_named(name)
    set_name = next(iter(benchmark.sets))
    return benchmark.sets[set_name](BenchmarkSources([tmp_path]))


def test_bounds_are_of_the_original_clips_alone(tmp_path):
    original, cut = (
        {sample.id: sample.video for sample in made(layout, tmp_path / layout.__name__, "mvbench")}
        for layout in (mvbench_frames, mvbench_video)
    )
    bounded = {name.rpartition("-")[0] for name, video in original.items() if video.end_s is not None}
    assert bounded == {
        *("action_sequence", "action_prediction", "object_interaction", "action_localization", "episodic_reasoning")
    }
    assert original["action_sequence-0"].start_s == 0.5
    assert all(video.start_s is None and video.end_s is None for video in cut.values())
    assert original["episodic_reasoning-0"].frames_fps == 3.0
    assert cut["episodic_reasoning-0"].frames_fps is None


def mvbench_frames(folder):
    """The branch `main`, unpacked."""
    mvbench_main(folder)
    for archive in (folder / "video").glob("*.zip"):
        unpack(Archive(f"video/{archive.name}", (archive,)), folder / "video")


@pytest.mark.parametrize("layout", [videochatgpt_json, videochatgpt_hub])
def test_consistency_pairs_ask_the_same_in_two_ways(layout, tmp_path):
    samples = [sample for sample in made(layout, tmp_path, "videochatgpt") if sample.groups["set"] == "consistency"]
    pairs = {}
    for sample in samples:
        pairs.setdefault(sample.notes["pair"], []).append(sample)
    for first, second in pairs.values():
        assert first.answer == second.answer
        assert first.question.split()[1] == second.question.split()[1], "runs with runs, sits with sits"
        assert first.question != second.question


def test_the_same_questions_in_either_layout_of_mlvu(tmp_path):
    parquet = made(mlvu_parquet, tmp_path / "parquet", "mlvu")
    assert {sample.options for sample in parquet} == {("red", "green", "blue", "white")}
    assert {sample.question for sample in parquet} == {"What is it?"}
    assert {sample.answer for sample in parquet} == {"A", "B"}


def test_a_set_that_is_not_there_is_none(tmp_path):
    for layout in VIDEO_LAYOUTS:
        for convert in benchmark_named(layout.benchmark).sets.values():
            assert not convert(BenchmarkSources([tmp_path]))


def test_frames_of_a_folder_are_read_by_time(tmp_path, monkeypatch):
    """Nine pictures at 3 a second, the middle second of them: the pictures 4 to 6."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for number in range(1, 10):
        put(tmp_path / f"frames/{number:05d}.jpg", picture(number * 25))
    video = mux_frames(tmp_path / "frames", 3.0)
    segment = read_video(video, FrameRule(fps=3, name="blocks"), (32, 48), 1.0, 2.0)
    shades = [round(float(frame[..., 0].mean()) / 25) for frame in segment.frames]
    assert shades == [4, 5, 6]
    assert segment.timestamps_s[0] == pytest.approx(1.0, abs=0.34)
    whole = read_video(video, FrameRule(fps=3), (32, 48))
    assert [round(float(frame[..., 0].mean()) / 25) for frame in whole.frames] == list(range(1, 10))
    assert mux_frames(tmp_path / "frames", 3.0) == video
