"""A run goes on where it was stopped, as if it had not been."""

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
    """A run that ended, and its recipe."""
    folder = tmp_path_factory.mktemp("done")
    train(recipe, folder, cpu=True)
    return recipe, folder


@pytest.mark.parametrize("workers", [0, 2])
def test_resuming_gives_the_same_losses(done, tmp_path, workers):
    recipe, whole = done
    torn = shutil.copytree(whole, tmp_path / "torn")
    shutil.rmtree(torn / "final")
    shutil.rmtree(torn / "checkpoint-4")
    assert last_checkpoint(torn).name == "checkpoint-2"
    train(replace(recipe, batching=replace(recipe.batching, workers=workers)), torn, cpu=True)
    assert losses(torn) == losses(whole)
    assert sorted(losses(whole)) == [1, 2, 3, 4]
    assert (torn / "final" / "model.safetensors").read_bytes() == (whole / "final" / "model.safetensors").read_bytes()


def stopped_after_two_steps(whole, folder):
    """Copy a run as if it had been stopped then."""
    torn = shutil.copytree(whole, folder)
    shutil.rmtree(torn / "final")
    shutil.rmtree(torn / "checkpoint-4")
    return torn


def test_how_often_is_logged_and_saved_may_change_within_a_run(done, tmp_path):
    recipe, whole = done
    torn = stopped_after_two_steps(whole, tmp_path / "torn")
    train(replace(recipe, save_every=1, log_every=2), torn, cpu=True)
    assert (torn / "checkpoint-3").is_dir()
    assert sorted(losses(torn)) == [1, 2, 4]


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


def test_options_that_are_younger_than_a_run_are_no_change(done, tmp_path):
    recipe, folder = done
    copy = shutil.copytree(folder, tmp_path / "copy")
    record = json.loads((copy / "recipe.json").read_text())
    del record["max_frames"], record["optimiser"]["kind"]
    (copy / "recipe.json").write_text(json.dumps(record))
    assert train(recipe, copy, cpu=True) == copy / "final"
    with pytest.raises(SetupError, match="max_frames: 420 before, 8 now"):
        train(replace(recipe, max_frames=8), copy, cpu=True)


def test_a_run_that_met_its_limit_goes_on_with_less(done, tmp_path):
    """How the same is computed, and where the same lies, is no other run."""
    recipe, whole = done
    torn = stopped_after_two_steps(whole, tmp_path / "torn")
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
    train(moved, torn, cpu=True)
    assert losses(torn) == pytest.approx(losses(whole), rel=1e-4)
    with pytest.raises(SetupError, match=r"mixture: .* before"):
        train(recipe, torn, cpu=True)


def test_a_run_does_not_go_on_from_another_start(done, tmp_path):
    recipe, whole = done
    torn = stopped_after_two_steps(whole, tmp_path / "torn")
    other = replace(recipe, start=Start(str(whole / "final")))
    with pytest.raises(SetupError, match="the run began from other weights"):
        train(other, torn, cpu=True)


def test_what_was_wrong_at_first_can_be_put_right(recipe, tmp_path):
    """A command that could not begin has begun nothing."""
    with pytest.raises(SetupError, match="there is no file"):
        train(replace(recipe, mixture="none.yaml"), tmp_path, cpu=True)
    assert not list(tmp_path.iterdir())


def test_a_folder_is_final_only_when_it_is_whole(done, tmp_path):
    recipe, whole = done
    torn = shutil.copytree(whole, tmp_path / "torn")
    (torn / "final").rename(torn / "final.unfinished")
    (torn / "final.unfinished" / "model.safetensors").write_bytes(b"half")
    train(recipe, torn, cpu=True)
    assert (torn / "final" / "model.safetensors").read_bytes() == (whole / "final" / "model.safetensors").read_bytes()
    assert not (torn / "final.unfinished").exists()


def test_a_run_does_not_go_on_with_other_data(done, shards, tmp_path):
    recipe, whole = done
    torn = shutil.copytree(whole, tmp_path / "torn")
    shutil.rmtree(torn / "final")
    data = shutil.copytree(shards, tmp_path / "shards")
    moved = replace(recipe, mixture=recipe.mixture.replace(str(shards), str(data)))
    record = json.loads((torn / "recipe.json").read_text())
    (torn / "recipe.json").write_text(json.dumps(record | {"mixture": moved.mixture}))
    pack(data / "texts", 40, text_sample)
    with pytest.raises(SetupError, match="its data changed since the run began"):
        train(moved, torn, cpu=True)


def test_a_run_may_be_shorter_than_what_it_logs(recipe, tmp_path):
    train(replace(recipe, log_every=100), tmp_path, cpu=True)
    assert losses(tmp_path) == {}
    assert (tmp_path / "loss.png").is_file()


def test_a_torn_checkpoint_is_passed_over(done, tmp_path):
    torn = shutil.copytree(done[1], tmp_path / "torn")
    (torn / "checkpoint-4" / "trainer_state.json").write_text('{"half')
    assert last_checkpoint(torn).name == "checkpoint-2"
    (torn / "checkpoint-2" / "model.safetensors").unlink()
    assert last_checkpoint(torn) is None


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

    class Two:
        num_processes = 3

    monkeypatch.setattr(run, "PartialState", lambda **_: Two())
    with pytest.raises(SetupError, match="cannot be shared by 3 processes"):
        train(recipe, tmp_path, cpu=True)


@pytest.mark.parametrize(
    ("changes", "processes", "says"),
    [
        ({}, 1, "one process, so nothing to spread over"),
        ({"rates": Rates(new_tokens=1e-3)}, 2, "only rows learn"),
        ({"optimiser": Optimiser("muon")}, 2, "Muon needs whole matrices"),
        ({"evaluate_every": 2}, 2, "leave evaluate_every out"),
    ],
)
def test_what_cannot_be_sharded_is_refused(recipe, tmp_path, monkeypatch, changes, processes, says):
    assert PartialState(cpu=True).num_processes == 1
    monkeypatch.setitem(PartialState._shared_state, "num_processes", processes)
    sharded = replace(recipe, sharded=True, mixture="none.yaml", **changes)
    with pytest.raises(SetupError, match=says):  # before the mixture is looked for
        train(sharded, tmp_path, cpu=True)
    with pytest.raises(SetupError, match=says if processes > 1 else "there is no file none.yaml"):
        forecast_run(sharded)


def test_one_process_uses_one_gpu_and_says_how_to_use_all(done, tmp_path, monkeypatch, capsys):
    """By itself the Trainer would spread a batch over all that it sees, and ours cannot be cut up so."""
    recipe, plain = done
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    train(recipe, tmp_path, cpu=False)
    assert losses(tmp_path) == losses(plain)
    said = capsys.readouterr().err
    assert "2 GPUs are visible and one is used" in said
    assert "accelerate launch --num_processes 2" in said
