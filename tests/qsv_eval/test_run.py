"""Real runs of lmms-eval on the built-in benchmark, and what a run refuses to begin."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.model_args import ModelArgs
from qsv_eval.run import default_output, run


def options(pretrained, **more):
    return ModelArgs.parse({"pretrained": pretrained, "device": "cpu", **more})


@pytest.fixture(scope="module", autouse=True)
def clip_cache(tmp_path_factory):
    """Keep the demo's clips out of the user's cache, and share them among these tests."""
    cache = str(tmp_path_factory.mktemp("cache"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", cache)
        patch.delenv("QSV_DATA", raising=False)
        yield cache


@pytest.fixture
def model(tiny):
    return options(str(tiny), max_frames=16, dtype="float32")


def journal_of(output):
    """The answers and failures, without what else a process writes down."""
    lines = [line for path in (output / "journal").glob("*.jsonl") for line in path.read_text().splitlines()]
    return [record for line in lines if "key" in (record := json.loads(line))]


def test_run_stores_scores_breakdowns_and_protocol(model, tmp_path):
    report = run(["demo"], model, tmp_path / "out", limit=10)
    assert (report.asked, report.complete) == (10, True)
    results = json.loads(report.results_file.read_text())
    stored = results["results"]["qsv_demo"]
    outcome = stored["outcome,none"]
    assert outcome["n"] == sum(outcome["counts"].values()) == 10
    for groups in outcome["breakdown"].values():
        assert sum(group["n"] for group in groups.values()) == 10
    assert stored["accuracy,none"] == outcome["value"]
    protocol = outcome["protocol"]
    assert protocol["answers"]["frame_rule"] == {"fps": 1.0, "max_frames": 16, "name": "reference"}
    assert protocol["generation"]["max_new_tokens"] == 32
    assert "{question}" in protocol["prompt"]
    assert results["protocols"] == {"qsv_demo": protocol}
    assert results["usage"]["qsv_demo"]["answers"] == 10
    assert results["usage"]["qsv_demo"]["frames"]["p95"] <= 16
    assert results["model_source"] == "quicksviewer"
    assert len(list(report.results_file.parent.glob("*_samples_qsv_demo.jsonl"))) == 1


def test_the_same_command_resumes_and_asks_nothing_twice(model, tmp_path):
    first = run(["qsv_demo"], model, tmp_path / "out", limit=4)
    again = run(["qsv_demo"], model.model_copy(update={"batch_size": 2}), tmp_path / "out", limit=6)
    assert (first.asked, again.asked) == (4, 2)
    keys = [record["key"] for record in journal_of(tmp_path / "out")]
    assert len(keys) == len(set(keys)) == 6


def test_a_killed_run_is_resumed(model, tmp_path, clip_cache):
    output = tmp_path / "out"
    command = [sys.executable, "-m", "qsv_eval.cli", "run", "--tasks", "demo", "--pretrained", model.pretrained]
    command += ["--max-frames", "16", "--dtype", "float32", "--device", "cpu", "--limit", "30", "--output", str(output)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while len(journal_of(output)) < 5 and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    kept = {record["key"] for record in journal_of(output)}
    assert 5 <= len(kept) < 30
    report = run(["demo"], model, output, limit=30)
    assert report.asked == 30 - len(kept)
    assert report.complete


def test_broken_and_missing_videos_are_errors_of_their_own(model, tmp_path, clip_cache, monkeypatch):
    from qsv_eval.demo import clip_from_id, demo_questions, ensure_video
    from qsv_eval.tasks.demo import task

    ids = list(dict.fromkeys(question.clip_id for question in demo_questions()[:10]))
    folder = tmp_path / "clips"
    paths = [ensure_video(clip_from_id(clip_id), folder) for clip_id in ids]
    paths[0].write_bytes(b"not a film" * 1000)
    monkeypatch.setattr(task, "clip_folder", lambda: folder)
    report = run(["demo"], model, tmp_path / "out", limit=10)
    outcome = report.tasks[0].metrics["outcome"]
    broken = sum(question.clip_id == ids[0] for question in demo_questions()[:10])
    assert outcome["counts"]["error"] == broken == report.tasks[0].failures
    assert not report.complete
    assert outcome["lowest"] <= (outcome["value"] or 0) <= outcome["highest"]
    [samples] = report.results_file.parent.glob("*_samples_*.jsonl")
    reasons = [json.loads(line)["outcome"]["reason"] for line in samples.read_text().splitlines()]
    assert sum("undecodable" in reason for reason in reasons) == broken


def test_another_runs_folder_is_refused_and_left_alone(model, tmp_path):
    run(["demo"], model, tmp_path / "out", limit=1)
    before = sorted(tmp_path.rglob("*"))
    other = options(model.pretrained, max_frames=32, dtype="float32")
    with pytest.raises(SetupError, match="holds another run \\(max_frames 16, not 32\\)"):
        run(["demo"], other, tmp_path / "out", limit=1)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_with_other_things_is_refused(model, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(SetupError, match="is not empty and holds no qsv-eval run"):
        run(["demo"], model, tmp_path, limit=1)
    with pytest.raises(SetupError, match="is not empty"):
        run(["demo"], model, tmp_path / "thesis.tex", limit=1)


def test_a_checkpoint_that_changed_under_a_run(tiny, tmp_path):
    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(tiny, checkpoint)
    model = options(str(checkpoint), max_frames=8, dtype="float32")
    run(["demo"], model, tmp_path / "out", limit=1)
    (checkpoint / "generation_config.json").write_text('{"do_sample": true}')
    with pytest.raises(SetupError, match="was begun with other files"):
        run(["demo"], model, tmp_path / "out", limit=1)


def test_a_damaged_marker_is_one_line(model, tmp_path):
    (tmp_path / "run.json").write_text('{"opt')
    with pytest.raises(SetupError, match="is damaged; whose run this is"):
        run(["demo"], model, tmp_path, limit=1)


def test_a_folder_has_one_name_however_it_is_typed(tiny, monkeypatch):
    monkeypatch.chdir(tiny.parent)
    typed = [options(name) for name in (str(tiny), f"{tiny}/", tiny.name, f"./{tiny.name}/")]
    assert len({options.pretrained for options in typed}) == 1


def test_a_damaged_video_is_reported(model, tmp_path, monkeypatch):
    from qsv_eval.demo import clip_from_id, demo_questions, ensure_video
    from qsv_eval.tasks.demo import task

    path = ensure_video(clip_from_id(demo_questions()[0].clip_id), tmp_path / "clips")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)  # the second half is lost
    path.write_bytes(content)
    monkeypatch.setattr(task, "clip_folder", lambda: tmp_path / "clips")
    report = run(["demo"], model, tmp_path / "out", limit=1)
    [record] = journal_of(tmp_path / "out")
    lost = record["fate"] == "failed" or record["videos"][0]["lost_frames"] > 0
    assert lost
    assert report.damaged + report.tasks[0].failures == 1


def test_wrong_checkpoint_leaves_no_folder(tmp_path):
    with pytest.raises(SetupError, match="no such folder"):
        run(["demo"], options(str(tmp_path / "nothing")), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_unknown_task_of_lmms_evals(model, tmp_path):
    with pytest.raises(SetupError, match="there is no task 'videomm'; did you mean"):
        run(["videomm"], model, tmp_path / "out")


def test_missing_data_root(model, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "nowhere"))
    with pytest.raises(SetupError, match="QSV_DATA"):
        run(["videomme"], model, tmp_path / "out")


def test_default_output_is_stable_and_tells_settings_apart(model):
    assert default_output(model) == default_output(options(model.pretrained, max_frames=16, dtype="float32"))
    assert default_output(model) != default_output(options(model.pretrained, max_frames=16))
    assert default_output(model) == default_output(
        options(model.pretrained, max_frames=16, dtype="float32", chunk_frames=4)
    )
