"""What all tests share. No test needs a network or a GPU."""

import os
from pathlib import Path

import pytest

# Before transformers or datasets is imported anywhere: a test that reaches for the network must fail, not wait.
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false", TQDM_DISABLE="1")


@pytest.fixture(scope="session")
def data() -> Path:
    return Path(__file__).parent / "data"
