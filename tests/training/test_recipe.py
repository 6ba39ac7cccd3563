import math
from dataclasses import replace

import pytest

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.quicksviewer import QuicksviewerConfig
from qsv_eval.training.recipe import Noise, Start, vary
from qsv_eval.training.setup import change_config
from qsv_eval.training.stages import STAGES, stage1, stage2, stage3


@pytest.mark.parametrize(("step", "weight"), [(0, 1.0), (300, 0.505), (600, 0.01), (1000, 0.01)])
def test_the_noise_falls_by_half_a_cosine(step, weight):
    assert math.isclose(Noise(ratio=0.6).at(step, 1000), weight)


def test_the_stages_have_the_papers_settings():
    one, two, three = stage1(), stage2(), stage3()
    assert (one.rates.cubing, one.rates.new_tokens, one.rates.vision_tower) == (1e-4, 1e-4, None)
    assert (two.rates.vision_tower, two.rates.language_model) == (2e-5, None)
    assert (three.rates.vision_tower, three.rates.language_model) == (1e-5, 1e-5)
    assert [stage.noise.ratio for stage in (one, two, three)] == [0.8, 0.6, 0.6]
    assert [stage.max_length for stage in (one, two, three)] == [16_384, 16_384, 32_768]


def test_the_scripts_differ():
    assert stage1(preset="script").noise.ratio == 0.6
    assert stage2(preset="script").rates.resampler == 1e-5
    assert stage3(preset="script").max_frames == 480


def test_changes_by_key_and_value():
    recipe = vary(
        stage1(),
        [
            "rates.cubing=2e-4",
            "rates.new_tokens=none",
            "max_frames=16",
            "batching.packed=false",
            "model.gate_centred=true",
        ],
    )
    assert (recipe.rates.cubing, recipe.rates.new_tokens, recipe.max_frames) == (2e-4, None, 16)
    assert recipe.batching.packed is False
    assert recipe.rates.resampler == stage1().rates.resampler


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("rates.cubing", "key=value"),
        ("rates.gate=1", "unknown key 'gate'; known are cubing"),
        ("max_frames.x=1", "'max_frames' is a single value"),
        ("max_frames=many", "max_frames"),
        ("dtype=float8", "dtype"),
        ("batching.micro_batches=0", "batching.micro_batches: Input should be greater than 0"),
        ("thumbnails_only=25", "thumbnails_only: Input should be less than or equal to 1"),
        ("optimiser.betas=0.9", "optimiser.betas"),
        ("model.gate_loss_weight=much", "model.gate_loss_weight: Input should be a valid number"),
        ("model.gate=1", "unknown key model.gate; known are text_config"),
    ],
)
def test_an_invalid_change_is_named(change, says):
    with pytest.raises(SetupError) as caught:
        vary(stage1(), [change])
    assert says in str(caught.value)


def test_numbers_of_the_models_configuration_may_have_any_notation():
    """In YAML, 1e-3 is a string and 0 an integer."""
    texts = ["gate_loss_weight=1e-3", "gate_temperature=1", "max_cubes=none", "frames_per_cube=5", "cubing=equal"]
    model = dict(vary(stage1(), [f"model.{text}" for text in texts]).model)
    assert model == {
        "gate_loss_weight": 0.001,
        "gate_temperature": 1.0,
        "max_cubes": None,
        "frames_per_cube": 5,
        "cubing": "equal",
    }
    assert type(model["gate_temperature"]) is float
    change_config(QuicksviewerConfig(), replace(stage1(), model=model))


def test_a_pair_is_given_in_brackets():
    assert vary(stage1(), ["optimiser.betas=[0.9, 0.98]"]).optimiser.betas == (0.9, 0.98)


def test_a_checkpoint_replaces_the_models_that_a_stage_starts_from():
    assert vary(stage1(), ["start.checkpoint=folder"]).start == Start("folder")
    with pytest.raises(SetupError, match="not both"):
        vary(stage1(), ["start.language_model=half", "start.checkpoint=folder"])


def test_a_start_is_a_checkpoint_or_a_pair_of_models():
    with pytest.raises(SetupError, match="not both"):
        Start("a", "b", "c")
    with pytest.raises(SetupError, match=r"give both start\.language_model"):
        Start(language_model="a")


def test_all_stages_are_known_by_name():
    assert [recipe().name for recipe in STAGES.values()] == list(STAGES)
