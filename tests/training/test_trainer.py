"""Losses and gradients: trained parts, averaging over a step, frozen weights, and limits that stop a run."""

import json
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.quicksviewer import load_pretrained
from qsv_eval.model_adapters.quicksviewer.perception import GumbelNoise
from qsv_eval.training import run
from qsv_eval.training.data.samples import collate
from qsv_eval.training.model import LossContext
from qsv_eval.training.recipe import Rates
from qsv_eval.training.run import make_trainer, train
from qsv_eval.training.setup import set_up
from qsv_eval.training.trainer import TooManySkippedSamples, TrainingError


def batch_of(setup):
    draws = next(iter(setup.plan))
    return collate([setup.samples[draw] for draw in draws], pad_id=0)


def with_batch(setup):
    return setup, batch_of(setup)


def loss_and_gradients(setup, batch, *, packed=True, tokens=100, gaps=50):
    batch = {key: value for key, value in batch.items() if key not in ("skipped", "samples")}
    noise = GumbelNoise(0.5, batch.pop("uniform_G2", None))
    model = setup.checkpoint.model.train()
    model.zero_grad()
    loss = model(**batch, noise=noise, context=LossContext(tokens, gaps, packed)).loss
    loss.backward()
    return loss.item(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def close(one, other, tolerance=1e-4):
    assert one.keys() == other.keys()
    scale = max(gradient.abs().max() for gradient in one.values())
    return max((one[name] - other[name]).abs().max() for name in one) < tolerance * scale


@pytest.mark.parametrize("attention", ["sdpa", "segmented"])
def test_packed_equals_padded(recipe, attention):
    setup = set_up(replace(recipe, attention=attention))
    batch = batch_of(setup)
    packed, padded = (loss_and_gradients(setup, batch, packed=kind) for kind in (True, False))
    other = loss_and_gradients(set_up(recipe), batch, packed=False)
    assert packed[0] == pytest.approx(padded[0], rel=1e-5)
    assert packed[0] == pytest.approx(other[0], rel=1e-5)
    assert close(packed[1], padded[1])
    assert close(packed[1], other[1])


def test_checkpointing_and_chunk_size_do_not_change_gradients(only_videos):
    kept = loss_and_gradients(*with_batch(set_up(replace(only_videos, checkpointing=False))))
    again = loss_and_gradients(*with_batch(set_up(replace(only_videos, chunk_frames=5))))
    assert kept[0] == pytest.approx(again[0], rel=1e-5)
    assert close(kept[1], again[1])


def test_the_gradient_of_a_batch_is_the_sum_over_its_samples(only_videos):
    setup = set_up(only_videos)
    draws = next(iter(setup.plan))
    together = loss_and_gradients(setup, collate([setup.samples[draw] for draw in draws], 0))
    alone = [loss_and_gradients(setup, collate([setup.samples[draw]], 0)) for draw in draws]
    assert together[0] == pytest.approx(sum(loss for loss, _ in alone), rel=1e-4)
    summed = {name: sum(gradients[name] for _, gradients in alone) for name in together[1]}
    assert close(together[1], summed)


def test_a_batch_without_labels_has_a_finite_loss(recipe):
    setup = set_up(recipe)
    empty = collate([], pad_id=3)
    loss, gradients = loss_and_gradients(setup, empty)
    assert loss == 0
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())


def test_texts_leave_perception_unchanged_and_do_not_stop_the_run(recipe, tmp_path, shards):
    """As in the small model's first stage, which has micro-batches of texts."""
    recipe = replace(
        recipe,
        rates=Rates(cubing=1e-3, resampler=1e-3),
        mixture=f"{shards}/texts/shard-000000.tar",
        checkpointing=False,
    )
    final = train(recipe, tmp_path, cpu=True)
    before, after = (
        load_pretrained(folder, device="cpu", dtype="float32").model for folder in (recipe.start.checkpoint, final)
    )
    for (name, one), other in zip(before.named_parameters(), after.parameters(), strict=True):
        assert torch.equal(one, other), name


@pytest.mark.parametrize("stage", ["vision_tower", "everything"])
def test_the_tower_is_trained_from_the_second_stage_on(only_videos, stage):
    rates = Rates(
        cubing=1e-3, resampler=1e-3, vision_tower=1e-3, language_model=1e-3 if stage == "everything" else None
    )
    _, gradients = loss_and_gradients(*with_batch(set_up(replace(only_videos, rates=rates))))
    of_tower = [gradient.norm() for name, gradient in gradients.items() if ".vision_tower." in name]
    assert len(of_tower) > 10
    assert min(of_tower) > 0
    assert any("language_model" in name for name in gradients) == (stage == "everything")


@pytest.mark.parametrize("centred", [False, True])
def test_the_gate_gets_a_gradient_through_the_thumbnail_alone(only_videos, centred):
    recipe = replace(only_videos, model={"gate_loss_weight": 0.0, "gate_centred": centred})
    _, gradients = loss_and_gradients(*with_batch(set_up(recipe)))
    assert gradients["model.perception.gate.logits.weight"].norm() > 0


def test_centring_changes_only_the_gates_gradient(only_videos):
    plain, centred = (
        loss_and_gradients(*with_batch(set_up(replace(only_videos, model={"gate_centred": on}))))
        for on in (False, True)
    )
    assert plain[0] == pytest.approx(centred[0], rel=1e-6)
    differing = {
        name for name in plain[1] if not torch.allclose(plain[1][name], centred[1][name], rtol=1e-3, atol=1e-7)
    }
    assert "model.perception.gate.logits.weight" in differing
    assert not any("resampler" in name or "language_model" in name for name in differing)


def test_the_gates_norm_is_averaged_over_the_steps_gaps(only_videos):
    setup = set_up(replace(only_videos, model={"gate_loss_weight": 1.0}))
    batch = batch_of(setup)
    gaps = int((batch["frame_counts"] - 1).sum())
    one, two = (loss_and_gradients(setup, batch, gaps=number)[0] for number in (gaps, 2 * gaps))
    silent = loss_and_gradients(set_up(replace(only_videos, model={"gate_loss_weight": 0.0})), batch)[0]
    assert one - silent == pytest.approx(2 * (two - silent), rel=1e-4)


def test_each_part_has_its_rate(recipe, tmp_path):
    recipe = replace(recipe, rates=Rates(cubing=1e-3, resampler=2e-3, vision_tower=3e-3, language_model=4e-3))
    optimizer = make_trainer(recipe, set_up(recipe), tmp_path, cpu=True).create_optimizer()
    rates = {group["part"]: group["lr"] for group in optimizer.param_groups}
    assert rates == {"cubing": 1e-3, "resampler": 2e-3, "vision_tower": 3e-3, "language_model": 4e-3}


def test_the_first_stage_leaves_old_rows_bit_identical(recipe, tmp_path, reference_start):
    recipe = replace(
        recipe,
        start=replace(recipe.start, checkpoint=str(reference_start)),
        rates=Rates(cubing=1e-2, resampler=1e-2, new_tokens=1e-2),
        optimiser=replace(recipe.optimiser, weight_decay=0.1),
    )
    before = load_pretrained(reference_start, device="cpu", dtype="float32")
    after = load_pretrained(train(recipe, tmp_path, cpu=True), device="cpu", dtype="float32")
    old, new = (model.model.get_input_embeddings().weight for model in (before, after))
    changed = (old != new).any(-1).nonzero().flatten().tolist()
    from qsv_eval.model_adapters.quicksviewer.prompt_tokens import VISION_TOKENS

    allowed = set(before.processor.tokenizer.convert_tokens_to_ids(list(VISION_TOKENS)))
    assert changed
    assert set(changed) <= allowed
    assert torch.equal(before.model.lm_head.weight, after.model.lm_head.weight)
    tower = "model.perception.vision_tower.embeddings.patch_embedding.weight"
    assert torch.equal(before.model.state_dict()[tower], after.model.state_dict()[tower])


def test_new_rows_alone_cannot_be_trained_in_a_tied_model(recipe):
    with pytest.raises(SetupError, match="embedding and head of this model are tied"):
        set_up(replace(recipe, rates=Rates(new_tokens=1e-3)))


def test_unusable_samples_are_skipped_and_counted(recipe, tmp_path, shards):
    lines = [json.dumps({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]})] * 60
    lines[5], lines[17] = (
        '{"broken',
        json.dumps({"image": "none.jpg", "conversations": json.loads(lines[0])["conversations"]}),
    )
    (tmp_path / "data.jsonl").write_text("\n".join(lines))
    recipe = replace(
        recipe, mixture=str(tmp_path / "data.jsonl"), batching=replace(recipe.batching, steps=None, tokens=40), keep=100
    )
    train(recipe, tmp_path / "out", cpu=True)
    reasons = (tmp_path / "out" / "skipped-0.jsonl").read_text()
    assert "data.jsonl, line 6" in reasons
    assert "data.jsonl, line 18" in reasons
    assert "none.jpg" in reasons
    assert '"skipped": 2' in (tmp_path / "out" / "metrics.jsonl").read_text()
    shutil.rmtree(tmp_path / "out" / "final")
    for checkpoint in (tmp_path / "out").glob("checkpoint-*"):
        if checkpoint.name != "checkpoint-2":
            shutil.rmtree(checkpoint)
    train(recipe, tmp_path / "out", cpu=True)
    assert (tmp_path / "out" / "skipped-0.jsonl").read_text() == reasons
    assert json.loads((tmp_path / "out" / "metrics.jsonl").read_text().splitlines()[-2])["skipped"] == 2


def test_too_many_skipped_samples_stop_the_run(recipe, tmp_path):
    conversation = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]
    (tmp_path / "data.jsonl").write_text(
        (json.dumps({"image": "none.jpg", "conversations": conversation}) + "\n") * 200
    )
    with pytest.raises(TooManySkippedSamples, match=r"more than broken_share 1.0%"):
        train(
            replace(recipe, mixture=str(tmp_path / "data.jsonl"), batching=replace(recipe.batching, steps=50)),
            tmp_path / "out",
            cpu=True,
        )


def test_a_loss_of_nan_stops_the_run_with_advice(recipe, tmp_path):
    trainer = make_trainer(recipe, set_up(recipe), tmp_path, cpu=True)
    trainer.learner.lm_head.weight.data[:] = float("nan")
    with pytest.raises(TrainingError, match="it begins its data, its schedule and the gate's noise anew"):
        trainer.train()


def test_a_sample_that_is_too_long_is_skipped(recipe):
    setup = set_up(replace(recipe, max_length=20))
    assert "more than max_length 20" in setup.samples[next(iter(setup.plan))[0]].reason


def test_logged_times_exclude_set_up_evaluating_and_saving(recipe, tmp_path, monkeypatch):
    delay_s, clock = [0.0], time.perf_counter
    monkeypatch.setattr(time, "perf_counter", lambda: clock() + delay_s[0])

    def take_long(*_, **__):
        delay_s[0] += 1e6
        return {"accuracy": 0.5}

    trainer = make_trainer(replace(recipe, save_every=1, log_every=2), set_up(recipe), tmp_path, cpu=True)
    trainer.evaluation = take_long
    trainer.add_callback(run._EvaluateEvery(1))
    monkeypatch.setattr(trainer, "_save_checkpoint", take_long)
    take_long()
    trainer.train()
    lines = [line for line in trainer.state.log_history if "loss" in line]
    assert [line["step"] for line in lines] == [2, 4]
    assert all(0 < line["seconds"] < 1e6 and line["data_wait"] < 1 for line in lines)


@pytest.mark.parametrize("workers", [0, 2])
def test_micro_batches_are_sent_as_arrays_and_moved_one_by_one(recipe, tmp_path, workers):
    """Tensors would be sent through /dev/shm, and accelerate would move a whole step at once."""
    recipe = replace(recipe, batching=replace(recipe.batching, workers=workers))
    trainer = make_trainer(recipe, set_up(recipe), tmp_path, cpu=True)
    loader = trainer.get_train_dataloader()
    assert loader.device is None
    sent = list(loader)
    assert not any(isinstance(value, torch.Tensor) for batch in sent for value in batch.values())
    batches, _ = trainer.get_batch_samples(iter(sent), 2, torch.device("cpu"))
    setup = set_up(recipe)
    pad_id = setup.checkpoint.processor.tokenizer.pad_token_id
    expected = [collate([setup.samples[draw] for draw in draws], pad_id) for draws in setup.plan]
    for batch, other in zip(batches, expected, strict=False):
        for key in batch:
            assert torch.equal(batch[key], other[key]), key
            assert batch[key].stride() == other[key].stride(), key


def test_noise_depends_on_the_draw_alone(only_videos):
    one, two = (set_up(only_videos) for _ in range(2))
    draw = list(one.plan)[1][0]
    assert np.array_equal(one.samples[draw].uniform_G2, two.samples[draw].uniform_G2)
    assert not np.array_equal(one.samples[draw].uniform_G2, one.samples[draw._replace(serial=99)].uniform_G2)


@pytest.mark.parametrize("key", ["gate_init", "num_queries", "no_such_thing"])
def test_settings_of_the_weights_cannot_be_changed_in_a_checkpoint(recipe, key):
    with pytest.raises(SetupError, match=f"model.{key}: cannot be changed"):
        set_up(replace(recipe, model={key: "sensitive"}))
