"""Runs: resuming gives the same result as an uninterrupted run, and other settings or data are refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import PartialState

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.quicksviewer import load_pretrained
from qsv_eval.tiny.clip_data import pack, text_sample
from qsv_eval.training.dry_run import forecast_run
from qsv_eval.training.recipe import Optimiser, Rates, Start
from qsv_eval.training.run import last_checkpoint, train


def losses(folder):
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


@pytest.fixture(scope="module")
def done(tmp_path_factory, recipe):
    """Recipe and folder of a finished run."""
    folder = tmp_path_factory.mktemp("done")
    train(recipe, folder, cpu=True)
    return recipe, folder


@pytest.mark.parametrize("workers", [0, 2])
def test_resuming_gives_the_same_losses(done, tmp_path, workers):
    recipe, finished = done
    stopped = shutil.copytree(finished, tmp_path / "stopped")
    shutil.rmtree(stopped / "final")
    shutil.rmtree(stopped / "checkpoint-4")
    assert last_checkpoint(stopped).name == "checkpoint-2"
    train(replace(recipe, batching=replace(recipe.batching, workers=workers)), stopped, cpu=True)
    assert losses(stopped) == losses(finished)
    assert sorted(losses(finished)) == [1, 2, 3, 4]
    assert (stopped / "final" / "model.safetensors").read_bytes() == (
        finished / "final" / "model.safetensors"
    ).read_bytes()


def stopped_after_two_steps(finished, folder):
    """Copy a run as if it had been stopped after two steps."""
    stopped = shutil.copytree(finished, folder)
    shutil.rmtree(stopped / "final")
    shutil.rmtree(stopped / "checkpoint-4")
    return stopped


def test_log_and_save_intervals_may_change_within_a_run(done, tmp_path):
    recipe, finished = done
    stopped = stopped_after_two_steps(finished, tmp_path / "stopped")
    train(replace(recipe, save_every=1, log_every=2), stopped, cpu=True)
    assert (stopped / "checkpoint-3").is_dir()
    assert sorted(losses(stopped)) == [1, 2, 4]


def test_a_run_leaves_a_checkpoint_and_pictures(done, clips):
    folder = done[1]
    assert {"metrics.jsonl", "metrics.csv", "loss.png", "recipe.json"} <= {path.name for path in folder.iterdir()}
    model = load_pretrained(folder / "final", device="cpu")
    part = {"type": "video", "video": str(clips[0])}
    reply = model.chat([{"role": "user", "content": [part, {"type": "text", "text": "What ?"}]}], max_new_tokens=4)
    assert len(reply.cubes[0]) >= 2


def test_a_finished_run_is_not_done_again(done):
    recipe, folder = done
    before = (folder / "final" / "model.safetensors").stat().st_mtime_ns
    train(recipe, folder, cpu=True)
    assert (folder / "final" / "model.safetensors").stat().st_mtime_ns == before


def test_another_recipe_needs_another_folder(done):
    recipe, folder = done
    with pytest.raises(SetupError, match=r"another recipe \(rates.cubing: 0.001 before, 0.5 now\)"):
        train(replace(recipe, rates=replace(recipe.rates, cubing=0.5)), folder, cpu=True)


def test_settings_unknown_to_the_runs_version_have_their_default(done, tmp_path):
    recipe, folder = done
    copy = shutil.copytree(folder, tmp_path / "copy")
    record = json.loads((copy / "recipe.json").read_text())
    del record["max_frames"], record["optimiser"]["kind"]
    (copy / "recipe.json").write_text(json.dumps(record))
    assert train(recipe, copy, cpu=True) == copy / "final"
    with pytest.raises(SetupError, match="max_frames: 420 before, 8 now"):
        train(replace(recipe, max_frames=8), copy, cpu=True)


def test_memory_settings_and_paths_may_change_within_a_run(done, tmp_path):
    recipe, finished = done
    stopped = stopped_after_two_steps(finished, tmp_path / "stopped")
    start = shutil.copytree(recipe.start.checkpoint, tmp_path / "start")
    folders = [Path(path).parent for path in recipe.mixture.split(";")]
    data = [shutil.copytree(folder, tmp_path / folder.name) for folder in folders]
    moved = replace(
        recipe,
        start=Start(str(start)),
        mixture=";".join(f"{folder}/shard-000000.tar" for folder in data),
        chunk_frames=5,
        checkpointing=False,
        attention="segmented",
    )
    train(moved, stopped, cpu=True)
    assert losses(stopped) == pytest.approx(losses(finished), rel=1e-4)
    with pytest.raises(SetupError, match=r"mixture: .* before"):
        train(recipe, stopped, cpu=True)


def test_resuming_from_another_start_is_refused(done, tmp_path):
    recipe, finished = done
    stopped = stopped_after_two_steps(finished, tmp_path / "stopped")
    other = replace(recipe, start=Start(str(finished / "final")))
    with pytest.raises(SetupError, match="it started from other weights"):
        train(other, stopped, cpu=True)


def test_a_refused_recipe_leaves_no_files(recipe, tmp_path):
    """So the corrected command may use the same folder."""
    with pytest.raises(SetupError, match=r"none\.yaml does not exist"):
        train(replace(recipe, mixture="none.yaml"), tmp_path, cpu=True)
    assert not list(tmp_path.iterdir())


def test_the_folder_final_is_always_complete(done, tmp_path):
    recipe, finished = done
    stopped = shutil.copytree(finished, tmp_path / "stopped")
    (stopped / "final").rename(stopped / "final.unfinished")
    (stopped / "final.unfinished" / "model.safetensors").write_bytes(b"half")
    train(recipe, stopped, cpu=True)
    assert (stopped / "final" / "model.safetensors").read_bytes() == (
        finished / "final" / "model.safetensors"
    ).read_bytes()
    assert not (stopped / "final.unfinished").exists()


def test_resuming_with_other_data_is_refused(done, shards, tmp_path):
    recipe, finished = done
    stopped = shutil.copytree(finished, tmp_path / "stopped")
    shutil.rmtree(stopped / "final")
    data = shutil.copytree(shards, tmp_path / "shards")
    moved = replace(recipe, mixture=recipe.mixture.replace(str(shards), str(data)))
    record = json.loads((stopped / "recipe.json").read_text())
    (stopped / "recipe.json").write_text(json.dumps(record | {"mixture": moved.mixture}))
    pack(data / "texts", 40, text_sample)
    with pytest.raises(SetupError, match="its data changed: "):
        train(moved, stopped, cpu=True)


def test_a_run_may_be_shorter_than_its_log_interval(recipe, tmp_path):
    train(replace(recipe, log_every=100), tmp_path, cpu=True)
    assert losses(tmp_path) == {}
    assert (tmp_path / "loss.png").is_file()


def test_an_incomplete_checkpoint_is_ignored(done, tmp_path):
    stopped = shutil.copytree(done[1], tmp_path / "stopped")
    (stopped / "checkpoint-4" / "trainer_state.json").write_text('{"half')
    assert last_checkpoint(stopped).name == "checkpoint-2"
    (stopped / "checkpoint-2" / "model.safetensors").unlink()
    assert last_checkpoint(stopped) is None


def test_evaluations_are_logged_and_change_nothing(done, tmp_path):
    recipe, plain = done
    steps = []

    def evaluate(model, step):
        steps.append(step)
        assert not model.model.training
        return {"accuracy": 0.5}

    train(replace(recipe, evaluate_every=2), tmp_path / "tried", evaluate, cpu=True)
    assert steps == [2, 4]
    assert losses(tmp_path / "tried") == losses(plain)
    assert '"eval_accuracy": 0.5' in (tmp_path / "tried" / "metrics.jsonl").read_text()


def test_processes_must_share_a_step_evenly(recipe, tmp_path, monkeypatch):
    from qsv_eval.training import run

    class Three:
        num_processes = 3

    monkeypatch.setattr(run, "PartialState", lambda **_: Three())
    with pytest.raises(SetupError, match="2 is not a multiple of 3 processes"):
        train(recipe, tmp_path, cpu=True)


@pytest.mark.parametrize(
    ("changes", "processes", "says"),
    [
        ({}, 1, "sharding needs several processes"),
        ({"rates": Rates(new_tokens=1e-3)}, 2, "new_tokens alone cannot be trained"),
        ({"optimiser": Optimiser("muon")}, 2, "Muon needs whole matrices"),
        ({"evaluate_every": 2}, 2, "leave out evaluate_every"),
    ],
)
def test_recipes_that_cannot_be_sharded_are_refused(recipe, tmp_path, monkeypatch, changes, processes, says):
    assert PartialState(cpu=True).num_processes == 1
    monkeypatch.setitem(PartialState._shared_state, "num_processes", processes)
    sharded = replace(recipe, sharded=True, mixture="none.yaml", **changes)
    with pytest.raises(SetupError, match=says):  # before the mixture is opened
        train(sharded, tmp_path, cpu=True)
    with pytest.raises(SetupError, match=says if processes > 1 else "none.yaml does not exist"):
        forecast_run(sharded)


def test_one_process_uses_one_gpu_and_says_how_to_use_all(done, tmp_path, monkeypatch, capsys):
    """The Trainer's default would split a micro-batch over all visible GPUs, which ours cannot be."""
    recipe, plain = done
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    train(recipe, tmp_path, cpu=False)
    assert losses(tmp_path) == losses(plain)
    warning = capsys.readouterr().err
    assert "2 GPUs are visible, but this process uses one" in warning
    assert "accelerate launch --num_processes 2" in warning
