import re
from pathlib import Path

import pytest
from lmms_eval.utils import simple_parse_args_string

from qsv_eval.model_adapters.engine.readahead import default_readers
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.frames import FrameRule
from qsv_eval.model_adapters.frames.read_job import ReadSettings
from qsv_eval.model_adapters.model_args import ModelArgs


def parse(**given):
    return ModelArgs.parse({"pretrained": "folder"} | given)


def refusal(**given):
    with pytest.raises(SetupError) as caught:
        parse(**given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_lmms_eval_makes_of_a_command_line():
    line = (
        "pretrained=lab/model,max_frames=64,fps=2,frame_rule=blocks,resize=fast,dtype=float32,gpus_per_process=2,"
        "load_in_8bit=True,cache_gb=0.5,readers=0,frame_store=/scratch/frames,allow_degraded=true,read_limit_s=30"
    )
    args = ModelArgs.parse(simple_parse_args_string(line) | {"batch_size": 4, "device": None, "max_batch_size": None})
    assert args.rule == FrameRule(fps=2.0, max_frames=64, name="blocks")
    assert (args.pretrained, args.dtype, args.gpus_per_process, args.bits) == ("lab/model", "float32", 2, 8)
    assert (args.readers, args.frame_store, args.allow_degraded) == (0, Path("/scratch/frames"), True)
    assert (args.batch_size, args.read_limit_s) == (4, 30.0)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("max_frames", "8", 8),
        ("max_frames", 8, 8),
        ("max_frames", 8.0, 8),
        ("fps", "0.75", 0.75),
        ("fps", 2, 2.0),
        ("batch_size", "3", 3),
        ("gpus_per_process", "2", 2),
        ("load_in_4bit", "True", True),
        ("allow_degraded", "false", False),
        ("chunk_frames", "16", 16),
        ("device_map", "auto", "auto"),
        ("device_map", {"model.perception": 0, "model.language_model": "cuda:1"}, None),
    ],
)
def test_strings_and_numbers_get_the_right_type(name, value, expected):
    parsed = getattr(parse(**{name: value}), name)
    assert parsed == (value if expected is None else expected)
    assert expected is None or type(parsed) is type(expected)


@pytest.mark.parametrize(
    ("name", "meant"), [("maxframes", "max_frames"), ("load_in_4_bit", "load_in_4bit"), ("reader", "readers")]
)
def test_an_unknown_option_with_a_near_one(name, meant):
    assert refusal(**{name: 8}) == f"model_args: there is no option {name!r}; did you mean {meant}?"


def test_an_unknown_option_with_none_near():
    message = refusal(zzz=1)
    assert message.startswith("model_args: there is no option 'zzz'; known are pretrained, revision, ")
    assert all(name in message for name in ModelArgs.model_fields)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("max_frames", "many", "max_frames 'many' should be a valid integer"),
        ("max_frames", 0, "max_frames 0 should be greater than or equal to 1"),
        ("max_frames", 8.5, "max_frames 8.5 should be a valid integer"),
        ("fps", "fast", "fps 'fast' should be a valid number"),
        ("fps", float("nan"), "fps nan should be a finite number"),
        ("resize", "best", "resize 'best' should be 'exact' or 'fast'"),
        ("gpus_per_process", 3, "gpus_per_process 3 should be less than or equal to 2"),
        ("batch_size", "auto", "batch_size 'auto' should be a valid integer"),
        ("readers", -1, "readers -1 should be greater than or equal to 0"),
        ("cache_gb", 0, "cache_gb 0 should be greater than 0"),
        ("readahead_gb", "inf", "readahead_gb 'inf' should be a finite number"),
        ("load_in_4bit", "maybe", "load_in_4bit 'maybe' should be a valid boolean"),
        ("device_map", 7, "device_map 7 should be a valid string"),
        ("device_map", {"": 1.5}, "device_map {'': 1.5} should be a valid string"),
        ("pretrained", "", "pretrained=FOLDER_OR_HUB_ID is missing"),
    ],
)
def test_a_wrong_value_is_named_in_one_line(name, value, complaint):
    assert refusal(**{name: value}).startswith(f"model_args: {complaint}")


@pytest.mark.parametrize(
    ("given", "complaint"), [({"fps": 0}, "fps 0.0"), ({"frame_rule": "first"}, "frame_rule 'first'")]
)
def test_a_wrong_rule_is_refused(given, complaint):
    with pytest.raises(SetupError, match=re.escape(complaint)):
        _ = parse(**given).rule


@pytest.mark.parametrize(("given", "bits"), [({}, None), ({"load_in_4bit": True}, 4), ({"load_in_8bit": True}, 8)])
def test_bits(given, bits):
    assert parse(**given).bits == bits


def test_both_bits_exclude_each_other():
    assert "exclude each other" in refusal(load_in_4bit=True, load_in_8bit=True)


def test_what_the_engine_gets():
    args = parse(
        batch_size=3, cache_gb=0.5, readers=0, readahead_gb=1.5, read_limit_s=7, allow_degraded=True, resize="fast"
    )
    options = args.engine_options(224, show_progress=False)
    assert (options.batch_size, options.cache_bytes, options.readers) == (3, 1 << 29, 0)
    assert (options.readahead_bytes, options.read_limit_s) == (3 << 29, 7.0)
    assert (options.allow_degraded, options.show_progress) == (True, False)
    assert options.reading[:3] == ((224, 224), "fast", None)


def test_the_frame_store_of_the_engine(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere/her")
    options = parse(frame_store="~/frames", frame_store_gb=2).engine_options(384, show_progress=True)
    assert options.reading == ReadSettings((384, 384), "exact", Path("/somewhere/her/frames"), 2 << 30)


def test_readers_by_default():
    assert parse().engine_options(384, show_progress=True).readers == default_readers()


@pytest.mark.parametrize(
    ("processors", "processes", "readers"), [(1, 1, 1), (2, 1, 2), (8, 1, 8), (64, 1, 8), (64, 8, 8), (8, 8, 1)]
)
def test_readers_are_this_process_s_part_of_the_processors(processors, processes, readers, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(processors)))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    assert default_readers() == readers
