"""The tests that transformers has for every model and every configuration."""

import unittest
from typing import Any

import pytest
from quicksviewer_testers import ImageTester, VideoTester, labels_for
from transformers_tests.test_configuration_common import ConfigTester
from transformers_tests.test_modeling_common import ModelTesterMixin

from qsv_eval.model_adapters.quicksviewer import (
    QuicksviewerConfig,
    QuicksviewerForConditionalGeneration,
    QuicksviewerModel,
)

pytestmark = pytest.mark.hf


class _QuicksviewerTests(ModelTesterMixin):
    all_model_classes = (QuicksviewerModel, QuicksviewerForConditionalGeneration)
    test_can_init_all_missing_weights_before_2023 = True  # or the test is skipped, as no licence says a year here
    _is_composite = True

    def _prepare_for_class(self, inputs_dict: dict, model_class: type, return_labels: bool = False) -> dict[str, Any]:
        inputs = super()._prepare_for_class(inputs_dict, model_class)
        if return_labels and model_class is QuicksviewerForConditionalGeneration:
            inputs["labels"] = labels_for(inputs)
        return inputs


class QwenImageTest(_QuicksviewerTests, unittest.TestCase):
    def setUp(self) -> None:
        self.model_tester = ImageTester("qwen2")


class QwenVideoTest(_QuicksviewerTests, unittest.TestCase):
    def setUp(self) -> None:
        self.model_tester = VideoTester("qwen2")


class LlamaImageTest(_QuicksviewerTests, unittest.TestCase):
    def setUp(self) -> None:
        self.model_tester = ImageTester("llama")


class LlamaVideoTest(_QuicksviewerTests, unittest.TestCase):
    def setUp(self) -> None:
        self.model_tester = VideoTester("llama")


class ConfigurationTest(unittest.TestCase):
    def test_config(self) -> None:
        tester = ConfigTester(self, config_class=QuicksviewerConfig, has_text_modality=False)
        tester.run_common_tests()
