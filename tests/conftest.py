"""What all tests share. No test needs a network or a GPU."""

import os
import signal
from pathlib import Path

import pytest

# Before transformers or datasets is imported anywhere: a test that reaches for the network must fail, not wait.
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false", TQDM_DISABLE="1")


if "PYTEST_XDIST_WORKER" in os.environ:
    # Its workers ignore Ctrl-C, and so would every program that a test starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data() -> Path:
    return Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint with random weights."""
    from random_checkpoint import make_random_checkpoint

    return make_random_checkpoint(tmp_path_factory.mktemp("tiny") / "checkpoint")


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three real mp4 files of 12 to 20 seconds."""
    from qsv_eval.demo import ensure_video, make_clip

    folder = tmp_path_factory.mktemp("clips")
    return [ensure_video(make_clip("demo", 3 * number), folder) for number in range(3)]


@pytest.fixture(scope="session")
def qwen_7b() -> dict[str, int | str]:
    """Sizes of Qwen2.5-7B."""
    return {
        "model_type": "qwen2",
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
    }


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The beginning of quicksviewer-tiny, as it is once tokens have begun to look at each other."""
    import torch

    from qsv_eval.model_adapters.quicksviewer.checkpoint import load_checkpoint
    from qsv_eval.tiny.initial_model import make_start

    folder = make_start(tmp_path_factory.mktemp("start") / "start")
    model = load_checkpoint(folder, dtype="float32").model
    draw = torch.Generator().manual_seed(0)
    for name, parameter in model.model.language_model.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            parameter.data.normal_(0, 0.05, generator=draw)
    model.save_pretrained(folder)
    return folder
