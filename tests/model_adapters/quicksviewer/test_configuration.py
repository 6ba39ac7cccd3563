"""Configurations: released ones become ours, and bad ones are named."""

import json

import pytest
from transformers import AutoConfig, LlamaConfig, Qwen2Config, SiglipVisionConfig

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.quicksviewer import QuicksviewerConfig
from qsv_eval.model_adapters.quicksviewer.configuration import (
    SO400M_PATCH14_384,
    ReleasedLlamaConfig,
    ReleasedQwenConfig,
)


@pytest.mark.parametrize(
    ("model", "alias", "text"),
    [("qwen2", ReleasedQwenConfig, Qwen2Config), ("llama3", ReleasedLlamaConfig, LlamaConfig)],
)
def test_released_config_becomes_ours(reference, model, alias, text):
    flat = json.loads((reference / model / "config.json").read_text())
    config = alias.from_dict(flat)
    assert type(config) is QuicksviewerConfig
    assert type(config.text_config) is text
    assert config.text_config.hidden_size == 256
    assert config.text_config.num_attention_heads == 4
    assert config.text_config.vocab_size == config.image_token_id == flat["vocab_size"]
    assert config.text_config.rope_parameters["rope_theta"] == flat["rope_theta"]
    assert config.resampler_heads == flat["num_heads"] == 2
    assert (config.num_queries, config.grid_size, config.use_thumbnail) == (64, 24, True)
    assert not {key for key in config.to_dict() if key.startswith("mm_")}


def test_released_dictionary_is_left_as_it_was(reference):
    flat = json.loads((reference / "qwen2" / "config.json").read_text())
    before = json.dumps(flat)
    ReleasedQwenConfig.from_dict(flat)
    assert json.dumps(flat) == before


def test_unused_keywords_come_back(reference):
    flat = json.loads((reference / "qwen2" / "config.json").read_text())
    config, unused = ReleasedQwenConfig.from_dict(flat, return_unused_kwargs=True, num_queries=36, colour="red")
    assert config.num_queries == 36
    assert unused == {"colour": "red"}


def test_auto_config_finds_the_tower_beside(reference):
    config = AutoConfig.from_pretrained(reference / "qwen2")
    assert type(config) is QuicksviewerConfig
    assert config.vision_config.hidden_size == 48
    assert ReleasedQwenConfig.from_pretrained(reference / "qwen2").vision_config.hidden_size == 48


def test_released_config_without_a_tower_means_so400m(released):
    folder = released(vision_tower=None)
    vision = AutoConfig.from_pretrained(folder).vision_config
    assert {key: getattr(vision, key) for key in SO400M_PATCH14_384} == SO400M_PATCH14_384


def test_released_config_that_names_an_existing_tower(released, tmp_path):
    tower = tmp_path / "tower"
    SiglipVisionConfig(hidden_size=24, num_attention_heads=2).save_pretrained(tower)
    folder = released(vision_tower=None, config={"mm_vision_tower": str(tower)})
    assert AutoConfig.from_pretrained(folder).vision_config.hidden_size == 24


def test_saved_and_loaded_is_the_same(tmp_path, reference):
    config = AutoConfig.from_pretrained(reference / "llama3")
    config.gate_momentum, config.frames_per_cube = 0.5, 7
    config.save_pretrained(tmp_path)
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert type(loaded) is QuicksviewerConfig
    values, expected = loaded.to_dict(), config.to_dict()
    assert values.pop("_name_or_path") != expected.pop("_name_or_path")
    assert values == expected


def test_defaults_follow_the_parts():
    config = QuicksviewerConfig()
    assert config.image_token_id == config.text_config.vocab_size
    assert config.resampler_heads == config.text_config.hidden_size // 128
    assert config.vision_config.hidden_size == 1152


@pytest.mark.parametrize(
    ("key", "value"),
    [("mm_cubing", "uniform"), ("cubing_vit_forward_n_layers", 0), ("mm_resampler_type", None), ("is_cubing", False)],
)
def test_unsupported_release_is_refused(reference, key, value):
    flat = json.loads((reference / "qwen2" / "config.json").read_text())
    with pytest.raises(SetupError, match=f"{key} is {value!r}; only"):
        ReleasedQwenConfig.from_dict({**flat, key: value})


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"text_config": {"model_type": "qwen2", "hidden_size": 250}}, "hidden_size 250 must be a multiple of 16"),
        ({"resampler_heads": 7}, "resampler_heads 7 does not divide"),
        ({"num_queries": 65}, "num_queries 65 does not divide"),
        ({"gate_momentum": 0.0}, "gate_momentum 0.0 is not in"),
    ],
)
def test_impossible_settings_are_refused(values, complaint):
    with pytest.raises(SetupError, match=complaint):
        QuicksviewerConfig(**values)
