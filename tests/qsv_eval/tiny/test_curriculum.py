"""The course of quicksviewer-tiny, two steps of everything."""

import json
import os
import subprocess
import sys

import pytest
import torch
from PIL import Image

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.quicksviewer import load_pretrained
from qsv_eval.tiny.curriculum import TinyBudget, tiny_stages, train_tiny


def words_of(steps, micro_batches):
    samples = {"letters": 30, "texts": 30, "glimpses": 20, "motion": 20, "brief": 20, "views": 8, "clips": 8}
    taken = {name: steps for name in TinyBudget._fields if name.endswith("_steps")}
    words = [f"{name}={value}" for name, value in (samples | taken | {"questions": 2, "tried_clips": 3}).items()]
    few = [
        "batching.tokens=500",
        f"batching.micro_batches={micro_batches}",
        "batching.workers=0",
        "log_every=1",
        "evaluate_every=none",
    ]
    return [*words, *few]


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """The whole course of quicksviewer-tiny, two steps of everything."""
    folder = tmp_path_factory.mktemp("course")
    words = words_of(steps=2, micro_batches=1)
    return folder, words, train_tiny(folder, words)


def test_the_course_ends_with_a_small_checkpoint_and_its_card(course):
    folder, _, finished = course
    assert finished == folder / "quicksviewer-tiny"
    card = (finished / "README.md").read_text()
    assert "| tiny_stage3 | 2 |" in card
    assert "| blind: the same questions, nothing shown |" in card
    assert "- learned: " in card
    for name in ("cubes.png", "losses.png"):
        assert f"]({name})" in card
        with Image.open(finished / name) as picture:
            assert picture.width > picture.height >= 400
    assert load_pretrained(finished, device="cpu").model.dtype == torch.float16
    assert sum(path.stat().st_size for path in finished.iterdir()) < 12e6


CUBING = {"perception.gate", "perception.thumbnail"}


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        ("tiny_brief", "tiny_stage1", CUBING | {"perception.resampler"}),
        ("tiny_stage1", "tiny_stage2", CUBING | {"perception.vision_tower", "perception.resampler"}),
    ],
)
def test_each_stage_moved_only_what_it_trains(course, before, after, moved):
    assert _moved(course, before, after) == moved


def test_at_the_end_the_gate_is_what_it_was_after_stage_1(course):
    assert "perception.gate" in _moved(course, "tiny_stage1", "tiny_stage3")
    moved = _moved(course, "tiny_stage1", "tiny_settling")
    assert {"perception.vision_tower", "perception.resampler", "language_model.layers"} <= moved
    assert "perception.gate" not in moved


def _moved(course, before, after):
    """Return the parts of the model that differ between the ends of two recipes."""
    folder, _, _ = course
    old, new = (
        load_pretrained(folder / name / "final", device="cpu", dtype="float32").model.state_dict()
        for name in (before, after)
    )
    return {".".join(name.split(".")[1:3]) for name in old if not old[name].equal(new[name])}


def test_stage_1_begins_with_a_new_gate(course):
    folder, _, _ = course
    start, before, after = (
        load_pretrained(folder / name, device="cpu", dtype="float32").model.state_dict()
        for name in ("start", "tiny_brief/final", "tiny_stage1_start")
    )
    for name, weights in after.items():
        assert weights.equal((start if "perception.gate." in name else before)[name]), name


def test_a_finished_course_is_not_done_again(course):
    folder, words, finished = course
    before = (finished / "model.safetensors").stat().st_mtime_ns
    train_tiny(folder, words)
    assert (finished / "model.safetensors").stat().st_mtime_ns == before


def test_two_processes_share_the_course(tmp_path):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = ["train", "tiny", *words_of(steps=1, micro_batches=2), "--output", str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launcher, "-m", "qsv_eval.cli", *words], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "on 2 CPU threads" in (tmp_path / "quicksviewer-tiny" / "README.md").read_text()
    for leg in tiny_stages(TinyBudget()):
        lines = map(json.loads, (tmp_path / f"tiny_{leg.name}" / "metrics.jsonl").read_text().splitlines())
        assert [line["step"] for line in lines if "loss" in line] == [1]


def test_amounts_are_numbers():
    with pytest.raises(SetupError, match="clips is a whole number"):
        train_tiny("unused", ["clips=many"])


def test_what_is_read_beside_is_drawn_before():
    """A part of the course may read again what one before it read; the first to need samples draws them."""
    drawn = set()
    for leg in tiny_stages(TinyBudget()):
        assert set(leg.beside) <= drawn
        drawn.add(leg.samples)
    assert drawn <= set(TinyBudget._fields)
