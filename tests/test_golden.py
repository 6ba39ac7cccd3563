"""The code makes the frames, cubes and replies that its versions stand for (`helpers/golden.py`)."""

import json

import pytest
from golden import FOLDER, STORED, frame_outputs, libraries, reply_outputs

from qsv_eval.model_adapters.engine.cache_key import REPLY_VERSION
from qsv_eval.model_adapters.frames.store import FRAME_VERSION

MADE_BY = "python tests/helpers/golden.py"
BUMP_REPLY = f"replies moved: bump REPLY_VERSION in model_adapters/engine/cache_key.py and run `{MADE_BY}`, or restore"
BUMP_FRAMES = f"frames moved: bump FRAME_VERSION (frames/store.py) and REPLY_VERSION and run `{MADE_BY}`, or restore"


@pytest.fixture(scope="module")
def golden():
    return json.loads(STORED.read_text())


def test_the_outputs_are_of_these_versions(golden):
    found = golden["reply_version"], golden["frame_version"]
    assert found == (REPLY_VERSION, FRAME_VERSION), f"a version was raised: run `{MADE_BY}`"


def test_frames(golden):
    """Byte for byte with the libraries that the outputs were made with, and within one level of 256 with others."""
    exact = golden["libraries"] == libraries()
    for name, made in frame_outputs().items():
        expected = golden["frames"][name]
        assert made["timestamps_s"] == pytest.approx(expected["timestamps_s"], abs=1e-5), f"{name}: {BUMP_FRAMES}"
        assert made["shortfall"] == expected["shortfall"], f"{name}: {BUMP_FRAMES}"
        if exact:
            assert made["sha256"] == expected["sha256"], f"{name}: {BUMP_FRAMES}"
        for colours, wanted in zip(made["mean_colours"], expected["mean_colours"], strict=True):
            assert colours == pytest.approx(wanted, abs=1), f"{name}: {BUMP_FRAMES}"


def test_replies(golden, tmp_path):
    made = reply_outputs(tmp_path)
    assert made.keys() == golden["replies"].keys()
    for name, expected in golden["replies"].items():
        if expected["loss"] is not None:
            made[name]["loss"] = pytest.approx(made[name]["loss"], rel=1e-4)
        assert made[name] == expected, f"{name}: {BUMP_REPLY}"


def test_the_media_are_small():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 200_000
