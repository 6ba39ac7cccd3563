"""The stages from the command line."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from qsv_eval.cli import app
from qsv_eval.model_adapters.errors import SetupError


def test_a_dry_run_from_the_command_line(start):
    done = CliRunner().invoke(app, ["train", "stage3", f"start.checkpoint={start}", "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "vision_tower" in done.output
    assert "No mixture was given" in done.output


def test_what_a_checkpoint_cannot_become_is_said_before_it_is_loaded(start):
    words = ["train", "stage3", f"start.checkpoint={start}", "model.num_queries=32", "--dry-run"]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, SetupError)
    assert "model.num_queries: cannot be changed in a checkpoint" in str(done.exception)


def test_the_small_model_has_one_recipe(tmp_path):
    done = CliRunner().invoke(app, ["train", "tiny", "--preset", "script", "--output", str(tmp_path)])
    assert "train tiny: has one recipe" in str(done.exception)


def test_a_stage_from_the_command_line(start, tmp_path):
    spoken = [{"from": "human", "value": "Which ?"}, {"from": "gpt", "value": "red"}]
    (tmp_path / "data.jsonl").write_text(f"{json.dumps({'conversations': spoken})}\n" * 8)
    words = [f"start.checkpoint={start}", f"mixture={tmp_path / 'data.jsonl'}", "batching.micro_batches=2"]
    more = ["batching.tokens=60", "batching.workers=0", "batching.steps=2", "dtype=float32", "attention=sdpa"]
    more += ["evaluate_every=2"]
    output = tmp_path / "out"
    done = CliRunner().invoke(app, ["train", "stage3", *words, *more, "--device", "cpu", "--output", str(output)])
    assert done.exit_code == 0, done.output
    assert (output / "final" / "model.safetensors").is_file()
    assert "eval_learned_cut_recall" in (output / "metrics.jsonl").read_text()


def test_a_stage_loads_nothing_that_only_the_small_models_card_needs():
    code = (
        "import sys; from typer.testing import CliRunner; from qsv_eval.cli import app; "
        "print(CliRunner().invoke(app, ['train', 'stage9']).exception, 'matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.endswith("known are stage1, stage2, stage3 and tiny False\n"), done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["stage9"], "no recipe 'stage9'; known are stage1, stage2, stage3 and tiny"),
        (["stage1", "--preset", "blog"], "'blog' is unknown; use paper or script"),
        (["stage2"], "give start.checkpoint"),
        (["tiny"], "there is no --dry-run"),
        (["stage1", "rates=1"], "rates"),
        (["stage1", "--device", "cuda:1"], "accelerate launch"),
    ],
)
def test_what_is_wrong_is_said(words, says, tmp_path):
    done = CliRunner().invoke(app, ["train", *words, "--output", str(tmp_path / "out"), "--dry-run"])
    assert isinstance(done.exception, SetupError)
    assert says in str(done.exception)
