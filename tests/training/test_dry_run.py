"""The forecast of a run needs configurations and data files, but no weights."""

import json
from dataclasses import replace

import pytest
from rich.console import Console

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.quicksviewer.configuration import SO400M_PATCH14_384
from qsv_eval.training.dry_run import forecast_run, print_forecast
from qsv_eval.training.recipe import Start
from qsv_eval.training.setup import set_up
from qsv_eval.training.stages import stage1, stage2, stage3

SIGLIP = {"model_type": "siglip_vision_model", **SO400M_PATCH14_384}


@pytest.fixture(scope="module")
def start_models(tmp_path_factory, qwen_7b):
    folder = tmp_path_factory.mktemp("start_models")
    for name, config in (("language", {**qwen_7b, "vocab_size": 151673}), ("vision", SIGLIP)):
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(config))
    return Start(language_model=str(folder / "language"), vision_tower=str(folder / "vision"))


def trained(recipe, start_models):
    return {part.part: part.trainable for part in forecast_run(replace(recipe, start=start_models)).parts}


def test_the_first_stage_trains_75_million_and_eight_rows(start_models):
    """The paper's 75 M (Table 1) are cubing network and resampler."""
    parts = trained(stage1(), start_models)
    assert round((parts["cubing"] + parts["resampler"]) / 1e6, 2) == 75.41
    assert parts["new_tokens"] == 8 * 3584
    assert parts["vision_tower"] == parts["language_model"] == 0


def test_the_tower_and_then_everything_follow(start_models):
    two, three = trained(stage2(), start_models), trained(stage3(), start_models)
    assert two["vision_tower"] > 400e6
    assert two["language_model"] == 0
    assert three["language_model"] > 7.5e9


def test_memory_of_weights_and_optimizer(start_models):
    """8 B parameters at 16 bytes are about 130 GB, and about 16 GB on each of 8 GPUs if sharded."""
    forecast = forecast_run(replace(stage3(), start=start_models))
    assert 110 < forecast.replicated.state / 2**30 < 130
    assert forecast.sharded.state == pytest.approx(forecast.replicated.state / 8, rel=1e-3)
    first = forecast_run(replace(stage1(), start=start_models))
    assert first.replicated.state / 2**30 < 20
    # Frozen parameters are bfloat16, but float32 in a sharded model.
    assert 8 * first.sharded.state / 2**30 > 30


def test_samples_steps_and_tokens_are_counted(recipe):
    forecast = forecast_run(replace(recipe, batching=replace(recipe.batching, steps=None)))
    rows = [(amount.source.split("/")[-2], amount.modality, amount.samples) for amount in forecast.sources]
    assert rows == [("texts", "text", 12), ("glimpses", "image", 6), ("glimpses", "video", 6), ("clips", "video", 12)]
    assert 0 < forecast.samples <= 36
    assert forecast.steps >= 1
    console = Console(record=True, width=120)
    print_forecast(forecast, console)
    text = console.export_text()
    assert "Training data" in text
    steps = "step" if forecast.steps == 1 else "steps"
    assert f"{forecast.steps} {steps} of 2 micro-batches" in text
    mean, minimum, maximum = forecast.samples_per_step
    assert mean == forecast.samples / forecast.steps
    assert 2 <= minimum <= mean <= maximum
    assert f"{minimum} to {maximum}; the reference's: about 48" in text


def test_brackets_of_a_pattern_are_printed(recipe, shards, tmp_path):
    """To rich, brackets would be markup."""
    (tmp_path / "mix.yaml").write_text(f"sources:\n  - path: '{shards}/clips/[a-z]hard-*.tar'\n")
    console = Console(record=True, width=1000)
    print_forecast(forecast_run(replace(recipe, mixture=str(tmp_path / "mix.yaml"))), console)
    assert f"{shards}/clips/[a-z]hard-*.tar" in console.export_text()


def test_invalid_samples_are_counted_and_the_first_is_named(recipe, tmp_path):
    good = {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}
    (tmp_path / "data.jsonl").write_text("{}\n" + f"{json.dumps(good)}\n" * 60 + "{}\n" * 29)
    bad = replace(recipe, mixture=str(tmp_path / "data.jsonl"))
    forecast = forecast_run(bad)
    assert [(amount.modality, amount.samples) for amount in forecast.sources] == [("broken", 30), ("text", 60)]
    console = Console(record=True, width=1000)
    print_forecast(forecast, console)
    assert f"30 invalid samples, the first: {tmp_path}/data.jsonl, line 1" in console.export_text()
    with pytest.raises(SetupError, match=r"30 of 90 samples are invalid, more than broken_share 1.0%.*line 1: "):
        set_up(bad)
    set_up(replace(bad, broken_share=0.5))


@pytest.mark.parametrize(
    ("start", "says"),
    [(Start(), "give start.checkpoint"), (Start(checkpoint="no-such-folder/x"), "cannot read the configuration")],
)
def test_a_missing_start_is_named(start, says):
    with pytest.raises(SetupError, match=says):
        forecast_run(replace(stage2(), start=start))
