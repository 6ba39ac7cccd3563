"""A forecast needs configurations and data files, no weights."""

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
def halves(tmp_path_factory, qwen_7b):
    folder = tmp_path_factory.mktemp("halves")
    for name, config in (("language", {**qwen_7b, "vocab_size": 151673}), ("vision", SIGLIP)):
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(config))
    return Start(language_model=str(folder / "language"), vision_tower=str(folder / "vision"))


def trained(recipe, halves):
    return {part.part: part.trainable for part in forecast_run(replace(recipe, start=halves)).parts}


def test_the_first_stage_trains_75_million_and_eight_rows(halves):
    """Spec training.md, section 9, check 6."""
    parts = trained(stage1(), halves)
    assert round((parts["cubing"] + parts["resampler"]) / 1e6, 2) == 75.41
    assert parts["new_tokens"] == 8 * 3584
    assert parts["vision_tower"] == parts["language_model"] == 0


def test_the_tower_and_then_everything_follow(halves):
    two, three = trained(stage2(), halves), trained(stage3(), halves)
    assert two["vision_tower"] > 400e6
    assert two["language_model"] == 0
    assert three["language_model"] > 7.5e9


def test_memory_is_what_the_state_takes(halves):
    """8 B parameters at 16 bytes are some 130 GB, and a good 16 on each of 8."""
    found = forecast_run(replace(stage3(), start=halves))
    assert 110 < found.whole.state / 2**30 < 130
    assert found.sharded.state == pytest.approx(found.whole.state / 8, rel=1e-3)
    first = forecast_run(replace(stage1(), start=halves))
    assert first.whole.state / 2**30 < 20
    # What is only read is bfloat16, but not where it is spread over the processes.
    assert 8 * first.sharded.state / 2**30 > 30


def test_samples_steps_and_tokens_are_counted(recipe):
    found = forecast_run(replace(recipe, batching=replace(recipe.batching, steps=None)))
    rows = [(amount.source.split("/")[-2], amount.modality, amount.samples) for amount in found.sources]
    assert rows == [("texts", "text", 12), ("glimpses", "image", 6), ("glimpses", "video", 6), ("clips", "video", 12)]
    assert 0 < found.samples <= 36
    assert found.steps >= 1
    console = Console(record=True, width=120)
    print_forecast(found, console)
    text = console.export_text()
    assert "What learns" in text
    assert f"{found.steps} steps of 2 micro-batches" in text
    mean, least, most = found.a_step
    assert mean == found.samples / found.steps
    assert 2 <= least <= mean <= most
    assert f"{least} to {most}; the reference had about 48" in text


def test_a_pattern_is_printed_as_it_is(recipe, shards, tmp_path):
    """Brackets are markup to what prints the tables."""
    (tmp_path / "mix.yaml").write_text(f"sources:\n  - path: '{shards}/clips/[a-z]hard-*.tar'\n")
    console = Console(record=True, width=1000)
    print_forecast(forecast_run(replace(recipe, mixture=str(tmp_path / "mix.yaml"))), console)
    assert f"{shards}/clips/[a-z]hard-*.tar" in console.export_text()


def test_lines_that_are_no_samples_are_counted_and_the_first_is_named(recipe, tmp_path):
    good = {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}
    (tmp_path / "data.jsonl").write_text("{}\n" + f"{json.dumps(good)}\n" * 60 + "{}\n" * 29)
    bad = replace(recipe, mixture=str(tmp_path / "data.jsonl"))
    found = forecast_run(bad)
    assert [(amount.modality, amount.samples) for amount in found.sources] == [("broken", 30), ("text", 60)]
    console = Console(record=True, width=1000)
    print_forecast(found, console)
    assert f"30 of them are no samples, the first: {tmp_path}/data.jsonl, line 1" in console.export_text()
    with pytest.raises(SetupError, match=r"30 of 90 samples are none, more than broken_share 1.0%.*line 1: "):
        set_up(bad)
    set_up(replace(bad, broken_share=0.5))


@pytest.mark.parametrize(
    ("start", "says"),
    [(Start(), "give start.checkpoint"), (Start(checkpoint="no-such-folder/x"), "cannot be read")],
)
def test_what_is_missing_is_named(start, says):
    with pytest.raises(SetupError, match=says):
        forecast_run(replace(stage2(), start=start))
