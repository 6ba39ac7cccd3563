import pytest
import torch

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.quicksviewer import resolve_device


@pytest.fixture
def four_gpus(monkeypatch):
    """A machine with four GPUs, as far as torch tells."""
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 4)
    monkeypatch.delenv("LOCAL_RANK", raising=False)


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)


def test_without_an_accelerator(no_gpu):
    assert resolve_device(None) == resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps"])
def test_a_device_that_is_not_here(no_gpu, name):
    with pytest.raises(SetupError, match="is not here: this machine has 0 accelerators"):
        resolve_device(name)


def test_a_device_that_is_nowhere():
    with pytest.raises(SetupError, match="device 'gpu' is unknown"):
        resolve_device("gpu")


@pytest.mark.parametrize(
    ("asked", "rank", "given"),
    [
        (None, None, "cuda:0"),
        (None, "3", "cuda:3"),
        ("cuda", "5", "cuda:1"),
        ("cuda:2", "3", "cuda:2"),
        ("cpu", "1", "cpu"),
    ],
)
def test_each_process_has_its_share(four_gpus, monkeypatch, asked, rank, given):
    if rank is not None:
        monkeypatch.setenv("LOCAL_RANK", rank)
    assert resolve_device(asked) == torch.device(given)


def test_a_number_too_high(four_gpus):
    with pytest.raises(SetupError, match="has 4 accelerators"):
        resolve_device("cuda:4")
