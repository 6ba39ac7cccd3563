"""Training from the command line, and what is tried out on the way."""

import json

import pytest
import torch
from typer.testing import CliRunner

from qsv_eval.cli import app
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.quicksviewer import load_pretrained
from qsv_eval.train import train_tiny


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """The whole course of quicksviewer-tiny, two steps of everything."""
    folder = tmp_path_factory.mktemp("course")
    amounts = {"letters": 30, "texts": 30, "pictures": 20, "clips": 8, "questions": 2, "tried_clips": 3}
    steps = {f"{name}_steps": 2 for name in ("letters", "language", "picture", "stage1", "stage2", "stage3")}
    words = [f"{name}={value}" for name, value in (amounts | steps).items()]
    few = [
        "batching.tokens=500",
        "batching.micro_batches=1",
        "batching.workers=0",
        "log_every=1",
        "evaluate_every=none",
    ]
    return folder, [*words, *few], train_tiny(folder, [*words, *few])


def test_the_course_ends_with_a_small_checkpoint_and_its_card(course):
    folder, _, finished = course
    assert finished == folder / "quicksviewer-tiny"
    card = (finished / "README.md").read_text()
    assert "| tiny_stage3 | 2 |" in card
    assert "| blind: the same questions, nothing shown |" in card
    assert "- learned: " in card
    assert load_pretrained(finished, device="cpu").model.dtype == torch.float16
    assert sum(path.stat().st_size for path in finished.iterdir()) < 12e6


def test_each_stage_moved_only_what_it_trains(course):
    folder, _, _ = course

    def weights(name):
        return load_pretrained(folder / name / "final", device="cpu", dtype="float32").model.state_dict()

    before, after = weights("tiny_pictures"), weights("tiny_stage1")
    moved = {".".join(name.split(".")[1:3]) for name in before if not before[name].equal(after[name])}
    assert moved == {"perception.gate", "perception.thumbnail", "perception.resampler"}


def test_a_finished_course_is_not_done_again(course):
    folder, words, finished = course
    before = (finished / "model.safetensors").stat().st_mtime_ns
    train_tiny(folder, words)
    assert (finished / "model.safetensors").stat().st_mtime_ns == before


def test_a_dry_run_from_the_command_line(start):
    done = CliRunner().invoke(app, ["train", "stage3", f"start.checkpoint={start}", "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "vision_tower" in done.output
    assert "No mixture was given" in done.output


def test_a_stage_from_the_command_line(start, tmp_path):
    spoken = [{"from": "human", "value": "Which ?"}, {"from": "gpt", "value": "red"}]
    (tmp_path / "data.jsonl").write_text(f"{json.dumps({'conversations': spoken})}\n" * 8)
    words = [f"start.checkpoint={start}", f"mixture={tmp_path / 'data.jsonl'}", "batching.micro_batches=2"]
    more = ["batching.tokens=60", "batching.workers=0", "batching.steps=2", "dtype=float32", "attention=sdpa"]
    output = tmp_path / "out"
    done = CliRunner().invoke(app, ["train", "stage3", *words, *more, "--device", "cpu", "--output", str(output)])
    assert done.exit_code == 0, done.output
    assert (output / "final" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["stage9"], "no recipe 'stage9'; known are stage1, stage2, stage3 and tiny"),
        (["stage1", "--preset", "blog"], "'blog' is unknown; use paper or script"),
        (["stage2"], "give start.checkpoint"),
        (["stage1", "rates=1"], "rates"),
    ],
)
def test_what_is_wrong_is_said(words, says, tmp_path):
    done = CliRunner().invoke(app, ["train", *words, "--output", str(tmp_path / "out"), "--dry-run"])
    assert isinstance(done.exception, SetupError)
    assert says in str(done.exception)


def test_amounts_are_numbers():
    with pytest.raises(SetupError, match="clips is a whole number"):
        train_tiny("unused", ["clips=many"])
