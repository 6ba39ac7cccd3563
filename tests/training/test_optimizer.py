"""Muon and AdamW as one optimizer: each steps as it does alone, and a saved state is resumed exactly."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.training.optimizer import MuonWithAdamW
from qsv_eval.training.run import make_trainer
from qsv_eval.training.setup import set_up


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 3))


def groups(model, lr=0.01):
    parts = {
        True: [p for p in model.parameters() if p.ndim == 2],
        False: [p for p in model.parameters() if p.ndim == 1],
    }
    return [{"params": params, "lr": lr, "weight_decay": 0.1, "matrices": kind} for kind, params in parts.items()]


def make(model):
    return MuonWithAdamW(groups(model), (0.9, 0.98), 1e-8)


def learn(model, *optimizers, steps=3, seed=0):
    draw = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        model(torch.randn(5, 6, generator=draw)).square().mean().backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()


def test_each_group_steps_like_its_optimizer_alone(model):
    other = copy.deepcopy(model)
    matrices, others = groups(other)
    learn(model, make(model))
    learn(
        other,
        torch.optim.Muon(matrices["params"], lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others["params"], lr=0.01, weight_decay=0.1, betas=(0.9, 0.98)),
    )
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_saved_state_is_resumed(model):
    optimizer = make(model)
    learn(model, optimizer)
    other = copy.deepcopy(model)
    resumed = make(other)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    learn(model, optimizer, seed=1)
    learn(other, resumed, seed=1)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_schedule_moves_the_rates(model):
    optimizer = make(model)
    before = [parameter.clone() for parameter in model.parameters()]
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 0.0)
    learn(model, optimizer)
    for one, two in zip(model.parameters(), before, strict=True):
        assert torch.equal(one, two)


def test_which_parameters_are_matrices(recipe, tmp_path):
    muon = replace(recipe, optimiser=replace(recipe.optimiser, kind="muon"))
    trainer = make_trainer(muon, set_up(muon), tmp_path, cpu=True)
    names = {id(parameter): name for name, parameter in trainer.learner.named_parameters()}
    optimizer = trainer.create_optimizer()
    kinds = {names[id(p)]: group["matrices"] for group in optimizer.param_groups for p in group["params"]}
    assert kinds["model.language_model.layers.0.self_attn.q_proj.weight"]
    assert not kinds["model.perception.gate.hidden.weight"]
    assert kinds["model.perception.vision_tower.encoder.layers.0.mlp.fc1.weight"]
    assert not kinds["model.language_model.embed_tokens.weight"]
    assert not kinds["model.perception.vision_tower.embeddings.position_embedding.weight"]
    assert not kinds["model.perception.vision_tower.embeddings.patch_embedding.weight"]
    assert not kinds["model.language_model.norm.weight"]


def test_an_old_torch_is_named(model, monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(SetupError, match=r"install torch 2\.9"):
        make(model)
