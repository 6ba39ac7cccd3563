"""The tests that transformers has for every model and every configuration."""

import unittest
from typing import Any
from unittest.mock import patch

import pytest
import transformers_tests.test_modeling_common as common
from quicksviewer_testers import ImageTester, QuicksviewerModelTester, VideoTester, labels_for
from transformers import PreTrainedConfig, PreTrainedModel
from transformers_tests.test_configuration_common import ConfigTester
from transformers_tests.test_modeling_common import ModelTesterMixin
from transformers_tests.test_training_mixin import TrainingTesterMixin

from qsv_eval.model_adapters.quicksviewer import (
    QuicksviewerConfig,
    QuicksviewerForConditionalGeneration,
    QuicksviewerModel,
)

pytestmark = pytest.mark.hf

# The mixin tells models with a head from those without by the tables of the library's own models.
common.MODEL_MAPPING_NAMES = {**common.MODEL_MAPPING_NAMES, "quicksviewer": "QuicksviewerModel"}
common.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES = {
    **common.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    "quicksviewer": "QuicksviewerForConditionalGeneration",
}
_zero_init = common._config_zero_init


def _config_zero_init(config: PreTrainedConfig) -> PreTrainedConfig:
    """Set the deviations of all initial weights to almost zero; `image_std` is none of them."""
    if not isinstance(config, QuicksviewerConfig):
        return _zero_init(config)
    parts = {name: _zero_init(getattr(config, name)) for name in config.sub_configs}
    return QuicksviewerConfig(**{**config.to_dict(), **parts})


class _QuicksviewerTests(ModelTesterMixin, common.GenerationTesterMixin):
    inputs_of: type[QuicksviewerModelTester]
    text_model: str
    all_model_classes = (QuicksviewerModel, QuicksviewerForConditionalGeneration)
    additional_model_inputs = ("visual_kind", "frame_ids", "pixel_values", "pixel_values_videos", "frame_counts")
    # The tower's pooling head is loaded and never run; the gate and the thumbnail take part in videos only.
    test_all_params_have_gradient = False
    # The mixin takes files without a year in their licence for older than 2023.
    test_can_init_all_missing_weights_before_2023 = True
    _is_composite = True

    def setUp(self) -> None:
        options = {}
        if self._testMethodName.startswith(("test_resize_tokens", "test_resize_embeddings")):
            options = {"placeholder": 3}  # these shrink the vocabulary and bring every id into it
        elif self._testMethodName.startswith("test_eager_matches_sdpa_inference"):
            options = {"batch_size": 7, "visuals": 1}  # these cut every input to seven rows
        self.model_tester = self.inputs_of(self.text_model, **options)

    def _prepare_for_class(self, inputs_dict: dict, model_class: type, return_labels: bool = False) -> dict[str, Any]:
        inputs = super()._prepare_for_class(inputs_dict, model_class)
        if return_labels and model_class is QuicksviewerForConditionalGeneration:
            inputs["labels"] = labels_for(inputs)
        return inputs

    def prepare_config_and_inputs_for_generate(self, batch_size: int = 2) -> tuple[QuicksviewerConfig, dict]:
        # Pixels are not cut into rows, and prompts are taken to be as long in the cache as they are written.
        self.model_tester = self.inputs_of(self.text_model, batch_size=batch_size, queries=1, frames_per_cube=1)
        config, inputs = self.model_tester.prepare_config_and_inputs_for_common()
        config.text_config.eos_token_id = None  # or replies would end early
        return config, inputs

    def test_can_init_all_missing_weights(self) -> None:
        # For classes outside of its package, the library leaves out modules without parameters of their own.
        with patch.object(PreTrainedModel, "is_custom_code", return_value=False):
            super().test_can_init_all_missing_weights()

    def test_can_load_ignoring_mismatched_shapes(self) -> None:
        with patch.object(common, "_config_zero_init", _config_zero_init):
            super().test_can_load_ignoring_mismatched_shapes()

    def test_reverse_loading_mapping(self) -> None:
        super().test_reverse_loading_mapping(skip_base_model=True)  # the released names are those of the whole model

    def test_sdpa_can_dispatch_composite_models(self) -> None:
        # The mixin looks for the tower among the base model's own parts.
        tower = property(lambda model: model.perception.vision_tower)
        with patch.object(QuicksviewerModel, "vision_tower", tower, create=True):
            super().test_sdpa_can_dispatch_composite_models()


class QwenImageTest(_QuicksviewerTests, unittest.TestCase):
    inputs_of, text_model = ImageTester, "qwen2"


class QwenVideoTest(_QuicksviewerTests, unittest.TestCase):
    inputs_of, text_model = VideoTester, "qwen2"


class LlamaImageTest(_QuicksviewerTests, unittest.TestCase):
    inputs_of, text_model = ImageTester, "llama"


class LlamaVideoTest(_QuicksviewerTests, unittest.TestCase):
    inputs_of, text_model = VideoTester, "llama"


class TrainingTest(TrainingTesterMixin, unittest.TestCase):
    """Learn a text by heart, and say it again."""

    all_model_classes = (QuicksviewerForConditionalGeneration,)

    @property
    def model_tester(self) -> QuicksviewerModelTester:
        tester = ImageTester("qwen2")
        config = tester.get_config()
        config.vocab_size = config.text_config.vocab_size  # where the mixin looks for it
        tester.get_config = lambda: config
        return tester


class ConfigurationTest(unittest.TestCase):
    def test_config(self) -> None:
        self.model_tester = ImageTester("qwen2")
        ConfigTester(self, config_class=QuicksviewerConfig, has_text_modality=False).run_common_tests()
